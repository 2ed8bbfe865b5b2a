"""Other programs: limits, and how a long one is told to end. Real processes, which tell on their parent themselves."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plmkit import children
from plmkit.children import LongOne, TimedOut
from plmkit.console import ExitCode, KitError
from support.hasty_time import HastyTime
from support.living import lives
from support.programs import put
from support.waiting import wait_until

# Python waits a quarter of a second for a child when it is interrupted, and would then kill it.
UNLOCKS = "sleep 1; rm lock; exit 1"
LOOP = "touch ready; while :; do sleep 0.05; done"
DRIVER = """
import os, signal, sys
from pathlib import Path
from plmkit import children
signal.signal(signal.SIGTERM, signal.default_int_handler)
program = children.LongOne(
    command=[sys.argv[1]], env=os.environ, cwd=Path(sys.argv[2]), timeout_s=60, cure="try again",
    output=2, has_terminal=sys.argv[3] == "terminal",
    ends_at=signal.SIGINT if sys.argv[3] == "at INT" else None,
)
try:
    children.attend(program)
except KeyboardInterrupt:
    sys.exit(130)
"""

Make = Callable[[str], LongOne]


@pytest.fixture
def program(tmp_path: Path) -> Make:
    def make(script: str) -> LongOne:
        path = put(tmp_path, "long-one", script)
        return LongOne(
            command=[str(path)], env=os.environ, cwd=tmp_path, timeout_s=60, cure="try again"
        )

    return make


def drive(
    program: LongOne, kind: str = "alone", stderr: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """As a process of its own, in a group of its own, once the program is at work."""
    command = [sys.executable, "-c", DRIVER, program.command[0], str(program.cwd), kind]
    process = subprocess.Popen(
        command, start_new_session=True, stdin=subprocess.DEVNULL, stderr=stderr
    )
    ready = program.cwd / "ready"
    wait_until(lambda: ready.exists() or process.poll() is not None, 30, "it is at work")
    return process


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_short_one_that_hangs_is_ended_and_said() -> None:
    with pytest.raises(TimedOut, match="sleep 30 has not ended within 0 s") as late:
        children.run(["sleep", "30"], timeout_s=0.1, cure="fuser -vm /")
    assert late.value.cure == "fuser -vm /"


def test_a_program_that_is_missing_makes_the_environment_unfit() -> None:
    with pytest.raises(KitError, match="no-such-program is missing") as missing:
        children.run(["no-such-program"], timeout_s=1, cure="")
    assert missing.value.exit_code is ExitCode.UNFIT_ENVIRONMENT


def test_what_goes_in_and_comes_out(program: Make) -> None:
    done = children.attend(replace(program("cat; echo oh >&2; exit 3"), stdin="a\nb\n"))
    assert (done.stdout, done.stderr, done.returncode) == ("a\nb\n", "oh\n", 3)


def test_what_has_ended_is_not_waited_for_where_a_child_of_its_keeps_its_pipes(
    program: Make, tmp_path: Path
) -> None:
    """As a daemon does that a package has started."""
    starts = program("cat; sleep 60 & echo $! > child; echo oh >&2; exit 3")
    done = children.attend(replace(starts, stdin="größer\n", timeout_s=20))
    assert (done.stdout, done.stderr, done.returncode) == ("größer\n", "oh\n", 3)
    [child] = lines(tmp_path / "child")
    assert lives(int(child))
    os.kill(int(child), signal.SIGKILL)


def test_nothing_is_lost_of_what_has_ended_on_a_machine_that_is_too_busy_to_look_in_time(
    program: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that takes longer than it may has read nothing, or half of it."""
    monkeypatch.setattr(children, "_LOOK_EVERY_S", 0.0)
    starts = program("printf %040000d 7; sleep 60 & echo $! > child; echo oh >&2")
    done = children.attend(replace(starts, timeout_s=20))
    assert (done.stdout, done.stderr) == ("7".zfill(40000), "oh\n")
    [child] = lines(tmp_path / "child")
    os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize("number", ["INT", "TERM"])
def test_whoever_is_told_to_end_lets_it_end_in_order(
    program: Make, tmp_path: Path, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = f"trap 'echo told >> told; {UNLOCKS}' {number}; touch lock; kill -{number} $PPID"
    with pytest.raises(KeyboardInterrupt):
        children.attend(program(f"{asks}; {LOOP}"))
    assert not (tmp_path / "lock").exists()
    assert lines(tmp_path / "told") == ["told"]
    assert "waiting until long-one has ended what it is at" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_third_time_it_is_killed_with_all_that_it_started(
    program: Make, tmp_path: Path
) -> None:
    tells = "trap 'echo told >> told; kill -INT $PPID' INT; sleep 60 & echo $! > child"
    with pytest.raises(KeyboardInterrupt):
        children.attend(program(f"{tells}; kill -INT $PPID; {LOOP}"))
    assert lines(tmp_path / "told") == ["told", "told"]
    [child] = lines(tmp_path / "child")
    wait_until(lambda: not lives(int(child)), 30, "the child is dead")


def test_what_takes_too_long_is_told_twice_and_then_killed(
    program: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, tell = tmp_path / "told", children._Attended._tell

    def tell_and_see_it_heard(attended: Any, number: int) -> None:
        tell(attended, number)
        wait_until(lambda: len(lines(told)) == attended.told, 30, "it has heard")

    monkeypatch.setattr(children._Attended, "_tell", tell_and_see_it_heard)
    monkeypatch.setattr(children, "time", HastyTime((tmp_path / "ready").exists))
    endless = program(f"trap 'echo told >> told' INT; echo $$ > pid; {LOOP}")
    with pytest.raises(TimedOut, match="long-one has not ended within 60 s"):
        children.attend(endless)
    assert lines(told) == ["told", "told"]
    [pid] = lines(tmp_path / "pid")
    assert not lives(int(pid))


def test_a_signal_that_is_ignored_stays_ignored(program: Make) -> None:
    """As nohup and a shell's background jobs have it."""
    kept = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert children.attend(program("kill -INT $PPID; exit 5")).returncode == 5
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, kept)


@pytest.mark.parametrize("kind", ["alone", "terminal"])
def test_a_signal_to_all_of_a_terminal_reaches_it_once(
    program: Make, tmp_path: Path, kind: str
) -> None:
    """The second one would end it at once."""
    asks = f"trap 'echo told >> told; {UNLOCKS}' INT; touch lock"
    with drive(program(f"{asks}; {LOOP}"), kind) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    assert lines(tmp_path / "told") == ["told"]
    assert not (tmp_path / "lock").exists()


def test_what_ends_in_order_at_one_signal_alone_gets_that_one(
    program: Make, tmp_path: Path
) -> None:
    asks = f"trap 'echo told >> told; {UNLOCKS}' INT; touch lock"
    with drive(program(f"{asks}; {LOOP}"), "at INT") as process:
        process.terminate()
        assert process.wait(30) == 130
    assert lines(tmp_path / "told") == ["told"]
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize(("kind", "number"), [("alone", "TERM"), ("at INT", "INT")])
def test_whoever_is_killed_does_not_leave_it_behind(
    program: Make, tmp_path: Path, kind: str, number: str
) -> None:
    asks = f"trap 'rm lock; exit 1' {number}; touch lock"
    with drive(program(f"{asks}; {LOOP}"), kind) as process:
        process.kill()
        wait_until(lambda: not (tmp_path / "lock").exists(), 30, "it was told to end")


def test_a_terminal_is_as_it_was_also_after_a_kill(program: Make, tmp_path: Path) -> None:
    ours, its = pty.openpty()
    before = termios.tcgetattr(its)
    draws = program(f"stty raw -echo <&2; trap 'echo told >> told' TERM; {LOOP}")
    with drive(draws, "terminal", its) as process:
        assert termios.tcgetattr(its) != before
        process.terminate()
        wait_until(lambda: lines(tmp_path / "told") == ["told"], 30, "it was told")
        process.terminate()
        wait_until(lambda: lines(tmp_path / "told") == ["told", "told"], 30, "told again")
        process.terminate()
        assert process.wait(30) == 130
    assert termios.tcgetattr(its) == before
    os.close(ours)
    os.close(its)
