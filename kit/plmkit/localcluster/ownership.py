"""Which cluster this machine runs: one at most, whoever started it. The record lives and dies with the boot."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_FOLDER = Path("/run/plm")
RECORD = _FOLDER / "cluster.json"


@dataclass(frozen=True)
class Ownership:
    """The state folder whose cluster holds the machine, and how the machine was before."""

    state: str
    settings: Mapping[str, str]  # kernel settings to restore
    namespaces_folder_existed: bool  # /run/netns: removed on the way down if we made it


@contextmanager
def locked() -> Iterator[None]:
    """Only one command at a time starts or stops the cluster; others wait."""
    _FOLDER.mkdir(mode=0o700, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read() -> Ownership | None:
    """Who holds the machine; None for nobody."""
    try:
        return Ownership(**json.loads(RECORD.read_text()))
    except FileNotFoundError:
        return None


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
    for name in ("cluster.new", "lock"):
        (_FOLDER / name).unlink(missing_ok=True)
    if _FOLDER.exists() and not any(_FOLDER.iterdir()):
        _FOLDER.rmdir()
