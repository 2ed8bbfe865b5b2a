"""Daemons that outlive the command that starts them, and records by which a later command knows them again."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import KitError
from plmkit.localcluster.layout import SYSTEM_PATH

_PROC = Path("/proc")
_RECORDED_WITHIN_S = 5.0

# The daemon writes its own record before it turns into the program, and joins its control group first. So there is
# no moment, whatever is killed when, in which a daemon runs that no later command can find.
#
# Its child keeps its log short, as nobody else is there while no command runs. It dies with the daemon, also with one
# that was gone before the kernel could be asked for that. The daemon appends, so it goes on at the beginning of the
# emptied file; what it says between copy and end is lost.
_LAUNCHER = """
set -eu
record=$1 procs=$2 fingerprint=$3 log=$4 bytes=$5 seconds=$6
shift 6
echo $$ > "$procs"
read -r boot < /proc/sys/kernel/random/boot_id
read -r stat < /proc/$$/stat
printf '%s\\n%s\\n%s\\n' "$boot" "$fingerprint" "$stat" > "$record"
setpriv --pdeathsig KILL sh -c '
  [ "$PPID" = "$4" ] || exit
  while sleep "$3"; do
    size=$(stat -c %s "$1") || exit
    if [ "$size" -gt "$2" ]; then cp "$1" "$1.1"; : > "$1"; fi
  done' sh "$log" "$bytes" "$seconds" "$$" < /dev/null > /dev/null 2>&1 &
exec "$@"
"""
_LOG_BYTES_MAX = 10 * 2**20  # of each of two files a daemon
_LOOK_AT_LOG_EVERY_S = 30.0


@dataclass(frozen=True)
class ProcessRecord:
    """A process for good: a pid alone may be reused, a pid with its start time in one boot may not."""

    pid: int
    start_ticks: int
    boot: str
    fingerprint: str = ""  # of the command and configuration it was started with


@dataclass(frozen=True)
class ProcessStat:
    """The three fields of /proc/<pid>/stat that tell one process from another and the dead from the living."""

    pid: int
    state: str
    start_ticks: int


@dataclass(frozen=True)
class Launch:
    """What it takes to start a daemon: its command line, and the files it is known by."""

    command: Sequence[str]
    record: Path
    procs: Path  # the file by which it joins its control group
    log: Path
    search_path: str
    fingerprint: str


def parse_stat(text: str) -> ProcessStat:
    """Read a stat line. The name in it may hold spaces and brackets: fields count from the last bracket."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return ProcessStat(int(head.split(" ", 1)[0]), fields[0], int(fields[19]))


def parse_record(text: str) -> ProcessRecord | None:
    """A record, or None for one that was cut off while it was written."""
    lines = text.splitlines()
    try:
        stat = parse_stat(lines[2])
    except (IndexError, ValueError):
        return None
    if not text.endswith("\n"):
        return None  # the start time may be half of one
    return ProcessRecord(stat.pid, stat.start_ticks, lines[0], lines[1])


def read_record(path: Path) -> ProcessRecord | None:
    """The record at this path; None where there is none or none that can be read."""
    try:
        return parse_record(path.read_text(errors="replace"))
    except FileNotFoundError:
        return None


def boot_id() -> str:
    """Changes with every start of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def started_at(record: ProcessRecord) -> float:
    """When the process started, in seconds of the wall clock."""
    lines = (_PROC / "stat").read_text().splitlines()
    boot = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return boot + record.start_ticks / os.sysconf("SC_CLK_TCK")


def is_alive(record: ProcessRecord) -> bool:
    """Whether that very process runs. A zombie counts as dead."""
    if record.boot != boot_id():
        return False
    try:
        # Whoever has that number now may have any bytes for a name.
        stat = parse_stat((_PROC / str(record.pid) / "stat").read_text(errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.start_ticks == record.start_ticks and stat.state not in "ZX"


def launch(daemon: Launch) -> None:
    """Start a daemon in its own session, with no descriptor and no variable of ours. Returns once it is recorded."""
    daemon.record.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        daemon.log.replace(daemon.log.with_suffix(".log.1"))
    launcher = ["setsid", "--fork", "sh", "-c", _LAUNCHER, "sh"]
    words = [str(daemon.record), str(daemon.procs), daemon.fingerprint, str(daemon.log)]
    words += [str(_LOG_BYTES_MAX), str(_LOOK_AT_LOG_EVERY_S), *daemon.command]
    path = f"{daemon.search_path}:{SYSTEM_PATH}"
    with daemon.log.open("ab") as output, suppress(subprocess.TimeoutExpired):
        subprocess.run(
            launcher + words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            close_fds=True,
            cwd="/",
            env={"PATH": path, "HOME": "/nonexistent", "LANG": "C.UTF-8"},
            check=True,
            timeout=_RECORDED_WITHIN_S,
        )
    deadline = time.monotonic() + _RECORDED_WITHIN_S
    while read_record(daemon.record) is None:
        if time.monotonic() > deadline:
            raise KitError(f"{daemon.command[0]} did not start", f"cat {daemon.log}")
        time.sleep(0.002)


def stop(records: Iterable[ProcessRecord], *, patience_s: float) -> None:
    """End these processes: ask all of them at once, and kill what is still there after `patience_s`."""
    handles = {handle for record in records if (handle := _open(record)) is not None}
    try:
        remaining = _signal_and_wait(handles, signal.SIGTERM, patience_s)
        _signal_and_wait(remaining, signal.SIGKILL, patience_s)
    finally:
        for handle in handles:
            os.close(handle)


def kill(pids: Iterable[int]) -> None:
    """SIGKILL, for those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _open(record: ProcessRecord) -> int | None:
    # Checked before, since the number may be a thread's by now, of which there is no descriptor. Checked again after:
    # what the descriptor points at can then not be replaced.
    if not is_alive(record):
        return None
    try:
        handle = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return None
    if is_alive(record):
        return handle
    os.close(handle)
    return None


def _signal_and_wait(handles: set[int], number: signal.Signals, patience_s: float) -> set[int]:
    for handle in handles:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
    waiting = set(handles)
    deadline = time.monotonic() + patience_s
    while waiting and (left := deadline - time.monotonic()) > 0:
        ended, _, _ = select.select(waiting, [], [], left)
        waiting -= set(ended)
    return waiting
