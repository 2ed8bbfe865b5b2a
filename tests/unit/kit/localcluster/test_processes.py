"""Daemons as real processes: known again for sure, outliving whoever started them, ended for good."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.localcluster import processes
from plmkit.localcluster.processes import Launch, ProcessRecord
from support.hasty_time import HastyTime
from support.waiting import wait_until

SOON_S = 10.0
# A daemon outlives whoever started it, by design; this one looks whether the tests are still there. So none is left
# when they are interrupted, or killed, before the fixture has ended it.
LOOP = f"while kill -0 {os.getpid()}; do sleep 0.05; done"
STAT = "{pid} (a) b (c) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {ticks} 20 21"


@dataclass(frozen=True)
class Stage:
    """A folder in which daemons are started."""

    folder: Path

    def launch(self, *command: str, fingerprint: str = "f1") -> ProcessRecord:
        """Start it and give its record."""
        daemon = self.request(*command, fingerprint=fingerprint)
        processes.launch(daemon)
        record = processes.read_record(daemon.record)
        assert record is not None
        return record

    def request(self, *command: str, fingerprint: str = "f1") -> Launch:
        return Launch(
            command,
            record=self.folder / "daemon.process",
            procs=self.folder / "cgroup.procs",
            log=self.folder / "daemon.log",
            search_path=str(self.folder),
            fingerprint=fingerprint,
        )


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    yield Stage(tmp_path)
    record = processes.read_record(tmp_path / "daemon.process")
    if record is not None:
        processes.stop([record], patience_s=0.1)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A child of ours that is not waited for until the end: killed, it stays as a zombie."""
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def record_of(pid: int) -> ProcessRecord:
    stat = processes.parse_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    return ProcessRecord(pid, stat.start_ticks, processes.boot_id())


def state_of(pid: int) -> str:
    return processes.parse_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace")).state


def sleeps(pid: int) -> bool:
    """Whether it is `sleep 60` and has opened what it opens while it starts."""
    return Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x0060\0" and state_of(pid) == "S"


def test_a_process_s_name_may_hold_spaces_and_brackets() -> None:
    found = processes.parse_stat(STAT.format(pid=7, state="S", ticks=99))
    assert (found.pid, found.state, found.start_ticks) == (7, "S", 99)


def test_a_record_that_was_cut_off_anywhere_is_none() -> None:
    """Half a start time would be a number too, of a process that never was."""
    whole = f"boot\nf1\n{STAT.format(pid=7, state='S', ticks=12345)}\n"
    assert processes.parse_record(whole) == ProcessRecord(7, 12345, "boot", "f1")
    for length in range(len(whole)):
        assert processes.parse_record(whole[:length]) is None, whole[:length]


def test_a_missing_record_is_none(tmp_path: Path) -> None:
    assert processes.read_record(tmp_path / "nothing.process") is None


def test_a_daemon_is_recorded_when_launch_returns_and_has_joined_its_group(stage: Stage) -> None:
    record = stage.launch("sleep", "60", fingerprint="f7")
    assert processes.is_alive(record)
    assert record.fingerprint == "f7"
    assert record.boot == processes.boot_id()
    assert (stage.folder / "cgroup.procs").read_text() == f"{record.pid}\n"
    # The record comes before the program: there is no moment without one.
    wait_until(lambda: sleeps(record.pid), SOON_S, "it is the program")


def test_a_daemon_has_a_session_of_its_own_and_nothing_of_ours(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    with (stage.folder / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        record = stage.launch("sleep", "60")
    wait_until(lambda: sleeps(record.pid), SOON_S, "it is the program")
    proc = Path(f"/proc/{record.pid}")
    assert os.getsid(record.pid) == record.pid
    assert (proc / "cwd").readlink() == Path("/")
    opened = {path.name: path.readlink() for path in (proc / "fd").iterdir()}
    log = stage.folder / "daemon.log"
    assert opened.items() >= {"0": Path("/dev/null"), "1": log, "2": log}.items()
    assert stage.folder / "ours" not in opened.values()
    variables = {line.split("=")[0] for line in (proc / "environ").read_text().split("\0") if line}
    assert variables - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "HOME", "LANG"}


def test_a_daemon_outlives_the_command_and_the_group_that_started_it(stage: Stage) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom plmkit.localcluster import processes\n"
        "f = Path(sys.argv[1])\n"
        "processes.launch(processes.Launch(['sleep', '60'], f / 'daemon.process',"
        " f / 'cgroup.procs', f / 'daemon.log', '', 'f1'))\n"
        "print('launched', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(stage.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "launched\n"
        os.killpg(starter.pid, signal.SIGKILL)
    record = processes.read_record(stage.folder / "daemon.process")
    assert record is not None
    assert processes.is_alive(record)


def test_the_log_before_the_last_start_is_kept(stage: Stage) -> None:
    for number in (1, 2, 3):
        started = stage.folder / f"started-{number}"
        record = stage.launch("sh", "-c", f"echo start {number}; touch {started}; exec sleep 60")
        wait_until(started.exists, SOON_S, "it has spoken")
        processes.stop([record], patience_s=SOON_S)
    assert (stage.folder / "daemon.log.1").read_text() == "start 2\n"


def test_a_daemon_that_cannot_join_its_group_is_not_started_and_its_log_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(stage.request("touch", str(stage.folder / "ran")), procs=Path("/nowhere/x"))
    log = request.log
    said = HastyTime(lambda: log.exists() and "/nowhere/x" in log.read_text())
    monkeypatch.setattr(processes, "time", said)
    with pytest.raises(KitError, match="touch did not start") as failed:
        processes.launch(request)
    assert failed.value.cure == f"cat {log}"
    assert "/nowhere/x" in log.read_text()
    assert not (stage.folder / "ran").exists()


def test_a_program_that_is_not_there_is_dead_and_says_so_in_its_log(stage: Stage) -> None:
    record = stage.launch("no-such-program")
    wait_until(lambda: not processes.is_alive(record), SOON_S, "it has ended")
    assert "no-such-program" in (stage.folder / "daemon.log").read_text()


def test_a_zombie_counts_as_dead(sleeper: subprocess.Popen[bytes]) -> None:
    record = record_of(sleeper.pid)
    assert processes.is_alive(record)
    sleeper.kill()
    wait_until(lambda: state_of(sleeper.pid) == "Z", SOON_S, "it is a zombie")
    os.kill(sleeper.pid, 0)  # which a look by signal would take for life
    assert not processes.is_alive(record)
    processes.stop([record], patience_s=SOON_S)


def test_a_stranger_with_a_daemon_s_old_number_is_neither_taken_for_it_nor_ended(
    sleeper: subprocess.Popen[bytes],
) -> None:
    real = record_of(sleeper.pid)
    for stale in (
        replace(real, start_ticks=real.start_ticks - 1),
        replace(real, boot="the boot before"),
    ):
        assert not processes.is_alive(stale)
        processes.stop([stale], patience_s=0.1)
    assert sleeper.poll() is None


def test_a_number_that_is_a_thread_s_by_now_is_dead_too() -> None:
    """Threads and processes share their numbers."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        stale = ProcessRecord(thread.native_id, 1, processes.boot_id())
        assert not processes.is_alive(stale)
        processes.stop([stale], patience_s=0.1)
    finally:
        go_on.set()
        thread.join()


def test_a_stranger_whose_name_is_no_text_is_looked_at_all_the_same(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff) Z (\xc3"
    Path(os.fsdecode(odd)).symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as child:
        try:
            assert processes.is_alive(record_of(child.pid))
        finally:
            child.kill()


def test_stop_asks_first(stage: Stage) -> None:
    goodbye = stage.folder / "goodbye"
    ready = stage.folder / "ready"
    script = f"trap 'echo bye > {goodbye}; exit' TERM; touch {ready}; {LOOP}"
    record = stage.launch("sh", "-c", script)
    wait_until(ready.exists, SOON_S, "it listens")
    processes.stop([record], patience_s=SOON_S)
    assert not processes.is_alive(record)
    assert goodbye.read_text() == "bye\n"


def test_stop_kills_what_does_not_listen(stage: Stage) -> None:
    ready = stage.folder / "ready"
    record = stage.launch("sh", "-c", f"trap '' TERM; touch {ready}; {LOOP}")
    wait_until(ready.exists, SOON_S, "it is deaf")
    processes.stop([record], patience_s=0.3)
    wait_until(lambda: not processes.is_alive(record), SOON_S, "it was killed")


def test_no_daemon_of_these_tests_outlives_them(tmp_path: Path) -> None:
    """Whatever becomes of them: here, SIGKILL, after which no fixture ends anything."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom test_processes import LOOP, Stage\n"
        "record = Stage(Path(sys.argv[1])).launch('sh', '-c', f\"trap '' TERM; {LOOP}\")\n"
        "print(record.pid, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        assert tests.stdout is not None
        left = record_of(int(tests.stdout.readline()))
        assert processes.is_alive(left)
        tests.kill()
    try:
        wait_until(lambda: not processes.is_alive(left), SOON_S, "it sees that nobody is there")
    finally:
        processes.stop([left], patience_s=0.1)


def test_stop_and_kill_take_what_is_gone_for_done(sleeper: subprocess.Popen[bytes]) -> None:
    record = record_of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    processes.stop([record], patience_s=0.1)
    processes.kill([record.pid])


def test_started_at_is_on_the_wall_clock(sleeper: subprocess.Popen[bytes]) -> None:
    own = record_of(os.getpid())
    child = record_of(sleeper.pid)
    made = Path(f"/proc/{sleeper.pid}").stat().st_ctime
    assert processes.started_at(own) <= processes.started_at(child)
    assert abs(processes.started_at(child) - made) < 5
