"""While packages are installed: none of their daemons starts, is enabled for the next boot, or gets a database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MARK = "# Put here by plm while it installs packages. It takes this file away again.\n"
# A comment too, in all that reads these files.
_FOLDER = "# This folder was made for it: {folder}\n"


@dataclass(frozen=True)
class Hold:
    """One file that keeps something from happening while it lies there."""

    path: Path
    text: str
    mode: int = 0o644

    @property
    def is_ours(self) -> bool:
        """Whether it lies there, and we put it there: of this run, or of one that was killed."""
        return _MARK in self._found

    @property
    def is_left(self) -> bool:
        """Whether anything of ours lies there, be it half written."""
        return self.is_ours or self._fresh.exists()

    @property
    def _found(self) -> str:
        try:
            return self.path.read_text(errors="replace")
        except OSError:
            return ""

    @property
    def _fresh(self) -> Path:
        return self.path.with_name(f".{self.path.name}.new")

    def put(self) -> None:
        """Put it there; what somebody else has at its place stays, and holds in its own way."""
        if self.path.exists() and not self.is_ours:
            return
        # Whoever takes it away may be another process: the file itself tells what goes with it.
        made = [*self._folders(), *(each for each in self.path.parents if not each.exists())]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place: cut off in the middle it would be somebody else's for ever.
        self._fresh.write_text(self.text + "".join(_FOLDER.format(folder=each) for each in made))
        self._fresh.chmod(self.mode)
        self._fresh.replace(self.path)

    def release(self) -> None:
        """Take it away if it is ours, and the folders that were made for it."""
        self._fresh.unlink(missing_ok=True)
        if not self.is_ours:
            return
        made = self._folders()
        self.path.unlink()
        for folder in made:
            with suppress(OSError):  # somebody else has put something there since
                folder.rmdir()

    def _folders(self) -> list[Path]:
        """Those that were made for it, the lowest first."""
        return [each for each in self.path.parents if _FOLDER.format(folder=each) in self._found]


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
    return any(hold.is_left for hold in HOLDS)


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
