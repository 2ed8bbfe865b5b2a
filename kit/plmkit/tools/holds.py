"""While packages are installed: none of their daemons starts, is enabled for the next boot, or gets a database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MARK = "# Put here by plm while it installs packages. It takes this file away again.\n"


@dataclass(frozen=True)
class Hold:
    """One file that keeps something from happening while it lies there."""

    path: Path
    text: str
    mode: int = 0o644

    @property
    def is_ours(self) -> bool:
        """Whether it lies there, and we put it there: of this run, or of one that was killed."""
        try:
            return _MARK in self.path.read_text(errors="replace")
        except OSError:
            return False

    def put(self) -> None:
        """Put it there; what somebody else has at its place stays, and holds in its own way."""
        if self.path.exists() and not self.is_ours:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place: cut off in the middle it would be somebody else's for ever.
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.write_text(self.text)
        fresh.chmod(self.mode)
        fresh.replace(self.path)

    def release(self) -> None:
        """Take it away if it is ours, and the folders that would be left empty."""
        if not self.is_ours:
            return
        self.path.unlink()
        for folder in (self.path.parent, self.path.parent.parent):
            with suppress(OSError):  # not empty, as a rule
                folder.rmdir()


HOLDS: tuple[Hold, ...] = (
    # Asked before a package starts a daemon: 101 is no.
    Hold(Path("/usr/sbin/policy-rc.d"), f"#!/bin/sh\n{_MARK}exit 101\n", 0o755),
    # Asked before a package enables a unit for the first time. One that was enabled before stays so.
    Hold(Path("/run/systemd/system-preset/00-plm.preset"), f"{_MARK}disable *\n"),
    # Read after createcluster.conf itself, and in the order of names: the last one counts.
    Hold(
        Path("/etc/postgresql-common/createcluster.d/zz-plm.conf"),
        f"{_MARK}create_main_cluster = false\n",
    ),
)


def are_left() -> bool:
    """Whether some are there now."""
    return any(hold.is_ours for hold in HOLDS)


def release() -> None:
    """Take all of ours away."""
    for hold in HOLDS:
        hold.release()


@contextmanager
def held(is_finished: Callable[[], bool]) -> Iterator[None]:
    """They are there, and gone afterwards, however the block ends, unless something is left that they are there for."""
    try:
        for hold in HOLDS:
            hold.put()
        yield
    finally:
        if is_finished():
            release()
