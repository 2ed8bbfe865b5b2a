"""Other programs as children: each with a time limit, and a long one told to end in order before it is killed."""

import os
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from plmkit.console import ExitCode, KitError, say

_PROC = Path("/proc")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOK_EVERY_S = 0.1
# For what it has in hand; and, told again, for putting down its tools.
_PATIENCE_S = (60.0, 15.0)
# Beside the signals that reach us: we tell it of ourselves.
_OURS = 0
_TERMINAL = 2
_SHOW_CURSOR = "\x1b[?25h"
# More than the kernel keeps in one.
_PIPE_BYTES_MAX = 2**20


class Missing(KitError):
    """A program is not there, so it has done nothing either."""


class TimedOut(KitError):
    """A program has not ended in time, and was killed."""


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    cure: str,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A short one, to its end, which the caller judges. Raises KitError where it is missing, or ends too late."""
    try:
        return subprocess.run(
            command,
            input=stdin,
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise Missing(f"{command[0]} is missing", "plm tools", ExitCode.UNFIT_ENVIRONMENT) from None
    except subprocess.TimeoutExpired:
        raise _timed_out(command, timeout_s, cure) from None


@dataclass(frozen=True, kw_only=True)
class LongOne:
    """A program that must not be cut off: what it takes to run it, and for how long it may."""

    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    timeout_s: float
    cure: str
    stdin: str = field(default="", repr=False)
    output: int | None = None  # a descriptor for all that it says; else it is returned
    has_terminal: bool = False  # draws on our terminal, reads its keys, and so gets its signals
    ends_at: signal.Signals | None = (
        None  # the only one at which it ends in order; else it gets the one that we got
    )


def attend(program: LongOne) -> subprocess.CompletedProcess[str]:
    """Run it to its end. Whoever is told to end meanwhile tells it, waits for it, and is interrupted only then.

    Told once it ends in order, told again it ends at once; after that, or when it takes too long, it is killed and all
    that it started with it.
    """
    with _signals_received() as received, _kept_terminal(program):
        process = subprocess.Popen(
            [*_told_by_the_kernel(program), *program.command],
            env=program.env,
            cwd=program.cwd,
            stdin=None if program.has_terminal else subprocess.PIPE,
            stdout=subprocess.PIPE if program.output is None else program.output,
            stderr=subprocess.PIPE if program.output is None else program.output,
            text=True,
            errors="replace",
            # Else a Ctrl-C would reach it twice: by the terminal, and by us. A second one ends it at once.
            process_group=None if program.has_terminal else 0,
        )
        attended = _Attended(program, process, received)
        out, err = attended.wait()
    if received:
        raise KeyboardInterrupt
    if attended.is_late:
        raise _timed_out(program.command, program.timeout_s, program.cure)
    return subprocess.CompletedProcess(program.command, process.returncode, out, err)


def _told_by_the_kernel(program: LongOne) -> tuple[str, ...]:
    """If we are killed nobody is left to tell it: the kernel does then."""
    number = program.ends_at or signal.SIGTERM
    return ("setpriv", "--pdeathsig", number.name.removeprefix("SIG"), "--")


@dataclass
class _Attended:
    program: LongOne
    process: subprocess.Popen[str]
    received: list[int]  # signals to us
    handed_on: int = 0
    told: int = 0
    is_late: bool = False
    has_stdin: bool = False  # in its pipe, or on its way

    def wait(self) -> tuple[str, str]:
        give_up_at = time.monotonic() + self.program.timeout_s
        while (said := self._said()) is None:
            if len(self.received) > self.handed_on:
                number = self.received[self.handed_on]
                self.handed_on += 1
            elif time.monotonic() > give_up_at:
                number = _OURS
                self.is_late = self.is_late or not self.received
            else:
                continue
            if self.told == len(_PATIENCE_S):
                self._kill()
                return "", ""
            self._tell(number)
            give_up_at = time.monotonic() + _PATIENCE_S[self.told - 1]
        return said

    def _said(self) -> tuple[str, str] | None:
        """All of it once it has ended; until then None, after a while."""
        had_ended = self.process.poll() is not None
        stdin = None if self.program.has_terminal or self.has_stdin else self.program.stdin
        self.has_stdin = True
        try:
            out, err = self.process.communicate(stdin, timeout=_LOOK_EVERY_S)
        except subprocess.TimeoutExpired as late:
            if not had_ended:
                return None
            # A daemon that it has started may keep its pipes for ever: what is in them now is all that it said.
            said = (
                _whole(late.stdout, self.process.stdout),
                _whole(late.stderr, self.process.stderr),
            )
            self._close()
            return said
        return out or "", err or ""

    def _tell(self, number: int) -> None:
        if self.told == 0:
            name = Path(self.program.command[0]).name
            say(f"waiting until {name} has ended what it is at; once more to end it at once")
        self.told += 1
        # A terminal tells all that run on it, by itself.
        if not (self.program.has_terminal and number == signal.SIGINT):
            ours = signal.SIGINT if number == _OURS else number
            self.process.send_signal(self.program.ends_at or ours)

    def _kill(self) -> None:
        _kill_family(self.process.pid)
        self._close()
        self.process.wait()

    def _close(self) -> None:
        # Whoever else holds the other ends does so for nothing.
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(OSError):
                if pipe:
                    pipe.close()


def _whole(read: bytes | None, pipe: IO[str] | None) -> str:
    """What was read of a pipe, and what still lies in it: on a busy machine the last look may have come too late."""
    rest = b""
    if pipe is not None and not pipe.closed:
        os.set_blocking(pipe.fileno(), False)
        with suppress(BlockingIOError):
            rest = os.read(pipe.fileno(), _PIPE_BYTES_MAX)
    return ((read or b"") + rest).decode(errors="replace")


@contextmanager
def _signals_received() -> Iterator[list[int]]:
    """Signals to end, which raise nothing for so long: an exception anywhere would leave the child alone."""
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    # Python gives them to its main thread alone.
    is_main = threading.current_thread() is threading.main_thread()
    kept = {number: signal.getsignal(number) for number in _SIGNALS if is_main}
    # Who started us with a signal ignored means the child too.
    taken = {number: old for number, old in kept.items() if old is not signal.SIG_IGN}
    try:
        for number in taken:
            signal.signal(number, receive)
        yield received
    finally:
        for number, old in taken.items():
            signal.signal(number, old)


@contextmanager
def _kept_terminal(program: LongOne) -> Iterator[None]:
    """What is killed while it draws leaves a terminal that shows nothing of what is typed."""
    if not (program.has_terminal and os.isatty(_TERMINAL)):
        yield
        return
    kept: list[Any] = termios.tcgetattr(_TERMINAL)
    try:
        yield
    finally:
        # The terminal itself may be gone.
        with suppress(termios.error):
            if termios.tcgetattr(_TERMINAL) != kept:
                termios.tcsetattr(_TERMINAL, termios.TCSADRAIN, kept)
                os.write(_TERMINAL, _SHOW_CURSOR.encode())


def _kill_family(ancestor: int) -> None:
    parents = dict(_parents())
    family = [ancestor]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _parents() -> Iterator[tuple[int, int]]:
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            # After the name, which may hold anything: state, then parent.
            _, parent, *_ = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            yield int(folder.name), int(parent)


def _timed_out(command: Sequence[str], timeout_s: float, cure: str) -> TimedOut:
    return TimedOut(f"{' '.join(command[:3])} has not ended within {timeout_s:.0f} s", cure)
