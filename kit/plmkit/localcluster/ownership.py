"""Which cluster this machine runs: one at most, whoever started it. The record lives and dies with the boot."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from plmkit.console import ExitCode, KitError, say

_FOLDER = Path("/run/plm")
RECORD = _FOLDER / "cluster.json"
_LOCK = _FOLDER / "lock"


@dataclass(frozen=True)
class Ownership:
    """The state folder whose cluster holds the machine, and how the machine was before."""

    state: str
    settings: Mapping[str, str]  # kernel settings to restore
    namespaces_folder_existed: bool  # /run/netns: removed on the way down if we made it


@contextmanager
def locked(progress: Callable[[str], None] = say) -> Iterator[None]:
    """Only one command at a time starts or stops the cluster; others say so, and wait."""
    told = False
    while True:
        try:
            _FOLDER.mkdir(mode=0o700, exist_ok=True)
            lock = _LOCK.open("w")
        except (FileNotFoundError, FileExistsError):  # the holder before us just removed the folder
            continue
        except PermissionError:
            raise _not_ours() from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    progress("waiting: another plm starts or stops the cluster")
                told = True
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_still_the_lock(lock):
                yield
                return


def _is_still_the_lock(lock: IO[str]) -> bool:
    # Whoever held it before us may have removed the file: then a third one locks another file of the same name.
    try:
        return os.path.samestat(os.fstat(lock.fileno()), _LOCK.stat())
    except FileNotFoundError:
        return False


def read() -> Ownership | None:
    """Who holds the machine; None for nobody. Raises KitError for whoever may not know."""
    try:
        return Ownership(**json.loads(RECORD.read_text()))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise _not_ours() from None


def _not_ours() -> KitError:
    return KitError(
        "the embedded cluster of this machine is root's",
        "sudo, or --context NAME for another cluster",
        ExitCode.UNFIT_ENVIRONMENT,
    )


def write(ownership: Ownership) -> None:
    """Take the machine. All or nothing: a torn record would lose the settings to restore."""
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(ownership), indent=2) + "\n")
    fresh.replace(RECORD)


def clear_record() -> None:
    """Nobody holds the machine any more."""
    RECORD.unlink(missing_ok=True)


def clear() -> None:
    """Nobody holds the machine any more, and nothing of us is left in /run."""
    clear_record()
    for file in (RECORD.with_suffix(".new"), _LOCK):
        file.unlink(missing_ok=True)
    # The next one may have put its lock there already.
    with suppress(OSError):
        _FOLDER.rmdir()
