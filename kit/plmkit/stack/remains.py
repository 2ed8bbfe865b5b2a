"""What a pulumi that was killed leaves in its backend: a lock that nobody holds, and work whose end nobody saw."""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plmkit.console import KitError, say
from plmkit.stack.workspace import Workspace

_PROC = Path("/proc")
_PROGRAM = "pulumi"
_LOOK_EVERY_S = 0.2
_WAIT_S_MAX = 3600.0


@dataclass(frozen=True)
class Lock:
    """One lock: who holds it, and where that process runs."""

    file: Path
    pid: int
    host: str


def free_stack(workspace: Workspace) -> None:
    """Remove the locks of those that were killed, and wait for those that live. Another machine's are left alone.

    Not by `pulumi cancel`: that would also remove one that was made just now.
    """
    give_up_at = time.monotonic() + _WAIT_S_MAX
    waits = False
    while locks := [lock for lock in _locks(workspace) if lock.host == socket.gethostname()]:
        for lock in locks:
            if not _is_held(lock):
                say(f"pulumi (process {lock.pid}) was killed at its work: its lock is removed")
                _remove(lock)
            elif not waits:
                say(f"waiting: pulumi (process {lock.pid}) is at the stack")
                waits = True
            elif time.monotonic() > give_up_at:
                raise KitError(f"pulumi (process {lock.pid}) does not end", f"kill {lock.pid}")
        if waits:
            time.sleep(_LOOK_EVERY_S)


def has_unfinished_work(workspace: Workspace) -> bool:
    """Whether something was being made, changed or removed, and it is not known whether that was done."""
    return bool(_deployment(workspace).get("pending_operations"))


def remembered_types(workspace: Workspace) -> set[str]:
    """The types of what the stack has made, or was at when it was cut off."""
    deployment = _deployment(workspace)
    unfinished = [each["resource"] for each in deployment.get("pending_operations") or ()]
    return {each["type"] for each in (*(deployment.get("resources") or ()), *unfinished)}


def _deployment(workspace: Workspace) -> Mapping[str, Any]:
    """What Pulumi remembers of the stack; empty before it has done anything."""
    for file in _backend(workspace, "stacks").glob(f"*/{workspace.stack}.json"):
        found = json.loads(file.read_text())
        return found.get("checkpoint", {}).get("latest") or {}
    return {}


def _backend(workspace: Workspace, kind: str) -> Path:
    return workspace.backend / ".pulumi" / kind


def _locks(workspace: Workspace) -> Iterator[Lock]:
    for file in _backend(workspace, "locks").glob(f"*/*/{workspace.stack}/*.json"):
        # Gone just now, or nothing that we can read: then Pulumi says what it thinks of it.
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            content = json.loads(file.read_text())
            yield Lock(file, int(content["pid"]), str(content["hostname"]))


def _is_held(lock: Lock) -> bool:
    """Whether that process lives. Its number may be another's by now, a zombie's is nobody's."""
    try:
        stat = (_PROC / str(lock.pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    before, _, after = stat.rpartition(")")
    return before.partition("(")[2].startswith(_PROGRAM) and after.split()[0] not in "ZX"


def _remove(lock: Lock) -> None:
    for file in (lock.file, lock.file.with_name(f"{lock.file.name}.attrs")):
        file.unlink(missing_ok=True)
