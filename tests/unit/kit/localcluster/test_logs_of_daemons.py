"""Logs of daemons stay short while no command runs, and nobody outlives a daemon for it."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from plmkit.localcluster import processes
from plmkit.localcluster.processes import Launch, ProcessRecord
from support.living import lives
from support.waiting import wait_until

SOON_S = 20.0
LINE = "x" * 99
Start = Callable[..., ProcessRecord]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the one daemon of a test."""
    record = tmp_path / "daemon.process"

    def launch(*command: str) -> ProcessRecord:
        processes.launch(
            Launch(
                command,
                record=record,
                procs=tmp_path / "cgroup.procs",
                log=tmp_path / "daemon.log",
                search_path=str(tmp_path),
                fingerprint="f1",
            )
        )
        found = processes.read_record(record)
        assert found is not None
        return found

    yield launch
    left = processes.read_record(record)
    if left is not None:
        processes.stop([left], patience_s=0.1)


def test_a_log_stays_short_while_its_daemon_goes_on(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else is there to rotate it: no command may run for weeks."""
    monkeypatch.setattr(processes, "_LOG_BYTES_MAX", 2_000)
    monkeypatch.setattr(processes, "_LOOK_AT_LOG_EVERY_S", 0.05)
    log, before = tmp_path / "daemon.log", tmp_path / "daemon.log.1"
    speak = f"while kill -0 {os.getpid()}; do echo {LINE}; sleep 0.001; done"
    record = start("sh", "-c", speak)
    for _ in range(2):
        wait_until(lambda: before.exists() and log.stat().st_size > 2_000, SOON_S, "it is full")
        wait_until(lambda: log.stat().st_size < 2_000, SOON_S, "it was emptied")
    assert processes.is_alive(record)
    # Whoever does not append leaves zeros. Not at the first look: it may be written anew just now.
    wait_until(lambda: set(before.read_text().splitlines()) == {LINE}, SOON_S, "lines alone")


def test_whoever_keeps_a_log_short_ends_with_its_daemon(start: Start) -> None:
    record = start("sleep", "60")
    wait_until(lambda: len(children_of(record.pid)) == 1, SOON_S, "somebody keeps its log")
    [keeper] = children_of(record.pid)
    wait_until(lambda: children_of(keeper) != [], SOON_S, "it waits until it looks")
    os.kill(record.pid, signal.SIGKILL)
    wait_until(lambda: not lives(keeper), SOON_S, "it has ended")


def test_a_daemon_that_ends_at_once_leaves_nobody_at_its_log(start: Start, tmp_path: Path) -> None:
    """It may be gone before the kernel was asked to end the other with it."""
    for _ in range(20):
        start("true")
    wait_until(lambda: keepers_of(tmp_path / "daemon.log") == [], SOON_S, "nobody is left")


def keepers_of(log: Path) -> list[str]:
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(log).encode() in command.read_bytes():
                found.append(command.parent.name)
    return found


def children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found
