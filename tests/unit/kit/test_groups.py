"""Builders as real processes: ended with all they started, whoever wants it, and never waited for too long."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from plmkit import groups
from plmkit.console import KitError
from support.hasty_time import HastyTime
from support.living import lives
from support.waiting import wait_until

SOON_S = 20.0


def family(folder: Path, *, trap: str = "") -> list[str]:
    """A shell and a child of its, both written down."""
    pids = folder / "pids"
    script = f"{trap}\nsleep 60 & echo $$ $! > {pids}.new; mv {pids}.new {pids}\nwait; wait"
    return ["sh", "-c", script]


def living(folder: Path) -> list[int]:
    return [pid for pid in map(int, (folder / "pids").read_text().split()) if lives(pid)]


def all_have_ended(folder: Path) -> None:
    wait_until(lambda: living(folder) == [], SOON_S, "it has ended with its child")


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limit is over as soon as the family is written down, and not before."""
    monkeypatch.setattr(groups, "time", HastyTime((tmp_path / "pids").exists))


def test_what_it_says_and_how_it_ends_is_told() -> None:
    done = groups.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=SOON_S, cure="")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


@pytest.mark.usefixtures("late")
def test_what_takes_too_long_is_ended_with_its_children_and_named(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="sh -c has not ended within 60 s") as failed:
        groups.run(family(tmp_path), timeout_s=60, cure="again")
    assert failed.value.cure == "again"
    all_have_ended(tmp_path)


@pytest.mark.usefixtures("late")
def test_whoever_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_PATIENCE_S", 0.2)
    began = time.monotonic()
    with pytest.raises(KitError):
        groups.run(family(tmp_path, trap="trap '' TERM"), timeout_s=60, cure="")
    assert time.monotonic() - began < SOON_S, "it was waited for"
    all_have_ended(tmp_path)


def test_another_thread_can_have_it_ended(tmp_path: Path) -> None:
    stop, seen = threading.Event(), list[BaseException]()
    thread = threading.Thread(target=_caught(tmp_path, stop, seen))
    thread.start()
    wait_until((tmp_path / "pids").exists, SOON_S, "it runs")
    stop.set()
    thread.join(SOON_S)
    assert [type(each) for each in seen] == [groups.Stopped]
    all_have_ended(tmp_path)


def _caught(folder: Path, stop: threading.Event, seen: list[BaseException]) -> Callable[[], None]:
    def run() -> None:
        try:
            groups.run(family(folder), timeout_s=60, cure="", stop=stop)
        except groups.Stopped as error:
            seen.append(error)

    return run


def test_an_exception_in_the_block_ends_it(tmp_path: Path) -> None:
    def fail() -> None:
        with groups.running(family(tmp_path)) as process:
            wait_until((tmp_path / "pids").exists, SOON_S, "it runs")
            assert os.getsid(process.pid) == process.pid
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    all_have_ended(tmp_path)


def test_it_has_nobody_to_ask() -> None:
    done = groups.run(["cat"], timeout_s=SOON_S, cure="")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_program_that_is_missing_is_its_caller_s_to_judge() -> None:
    done = groups.run(["no-such-builder"], timeout_s=SOON_S, cure="")
    assert done.returncode == 127
    assert "no-such-builder" in done.stderr


def test_an_end_of_what_has_ended_is_no_error() -> None:
    with groups.running(["true"]) as process:
        process.wait(SOON_S)
        groups.end(process)
    assert isinstance(process, subprocess.Popen)
