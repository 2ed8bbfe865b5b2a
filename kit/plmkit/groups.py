"""Programs that may be cut off at any time, builders above all: each with a limit, and ended with all it started."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from plmkit.console import KitError

_LOOK_EVERY_S = 0.2
_PATIENCE_S = 5.0
# If we are killed nobody is left to end it: the kernel does then; it, not what it started.
_ENDED_BY_THE_KERNEL = ("setpriv", "--pdeathsig", "KILL", "--")


class Stopped(Exception):
    """It was ended because somebody wanted so."""


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A program in a session of its own. An exception out of the block ends it, and all that it started."""
    with subprocess.Popen(
        [*_ENDED_BY_THE_KERNEL, *command],
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        **options,
    ) as process:
        try:
            yield process
        except BaseException:
            end(process)
            raise


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    cure: str,
    stop: threading.Event | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which is the caller's to judge; from any thread. `options` are Popen's.

    Raises KitError when that takes too long, and Stopped as soon as `stop` is set.
    """
    began = time.monotonic()
    pipe = subprocess.PIPE
    with running(command, stdout=pipe, stderr=pipe, **options) as process:
        while True:
            try:
                out, err = process.communicate(timeout=_LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                if stop is not None and stop.is_set():
                    raise Stopped from None
                check_time(command, time.monotonic() - began, timeout_s=timeout_s, cure=cure)
            else:
                return subprocess.CompletedProcess(command, process.returncode, out, err)


def check_time(command: Sequence[str], seconds: float, *, timeout_s: float, cure: str) -> None:
    """Raise KitError for a program that goes on for longer than it may."""
    if seconds > timeout_s:
        raise KitError(f"{' '.join(command[:2])} has not ended within {timeout_s:.0f} s", cure)


def end(process: subprocess.Popen[str]) -> None:
    """End it and all that it started: asked first, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
