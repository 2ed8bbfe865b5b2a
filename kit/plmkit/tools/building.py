"""Brings every tool into the cache: what is missing is built family by family, each published whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from plmkit.console import ExitCode, KitError
from plmkit.state import Places
from plmkit.tools import debian, go, substitutes
from plmkit.tools.keys import content_key
from plmkit.tools.linking import link
from plmkit.tools.recipes import FAMILIES, LANGUAGE_EXEC, PACKAGES, TEST_PACKAGES, Family
from plmkit.turns import take_turn

_RECORD = "built.json"
_UNFINISHED = ".building-"


@dataclass(frozen=True)
class Row:
    """One line of the table at the end. Seconds and memory are those of the build, also when that was earlier."""

    family: str
    version: str
    source: str  # built, kept, or the path of what was found
    seconds: float = 0.0
    peak_mib: int = 0


@dataclass
class Report:
    """What `ensure` did."""

    rows: list[Row] = field(default_factory=list)
    packages: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)


class Display(Protocol):
    """Where progress is shown: that of a build, while it goes on."""

    def building(
        self, what: str, number: int, total: int, last_s: float | None
    ) -> AbstractContextManager[None]: ...
    def progress(self, compiled: int, packages: int, seconds: float) -> None: ...
    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Work:
    """A family and where its binaries of this content belong."""

    family: Family
    names: frozenset[str]  # of its programs, those that nothing on PATH stands in for
    source: Path
    folder: Path

    @property
    def is_due(self) -> bool:
        """Whether something is missing: the family as such, or a program that PATH had when it was built."""
        present = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        return not {*self.names, _RECORD} <= present


def ensure(
    places: Places,
    *,
    display: Display,
    only: Sequence[str] = (),
    with_test_servers: bool = False,
) -> Report:
    """Every tool, ready in `$CACHE/tools/bin`. May be killed and called again at any time.

    Where families are named, only these, and no Debian packages but the test servers'; all else stays as it is.
    Raises KitError when something can neither be found nor built.
    """
    families = choose(only)
    packages = [*(() if only else PACKAGES), *(TEST_PACKAGES if with_test_servers else ())]
    root = places.cache / "tools"
    waiting = "waiting: another plm is at the tools"
    with take_turn(root / ".turn", lambda: display.say(waiting)):
        report = Report(packages=_install(packages, display))
        found = _substitutes(root, families, report, display)
        works = plan(places, go.find_version(), found, families)
        due = [work for work in works if work.is_due]
        for number, work in enumerate(due, start=1):
            with display.building(work.family.name, number, len(due), _last_seconds(work.folder)):
                seconds = build(work, display.progress)
            display.say(f"built {work.family.name} in {seconds:.0f} s")
        report.rows[:0] = [_row(work, is_new=work in due) for work in works]
        built = [path for work in works for path in work.folder.iterdir() if path.name != _RECORD]
        link(places, built, found, is_all=not only)
        return report


def choose(names: Sequence[str]) -> tuple[Family, ...]:
    """The families of these names, in the order of building; all where none is named. Raises KitError for others."""
    known = [family.name for family in FAMILIES]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KitError(
            f"no such tool: {', '.join(unknown)}; there are {', '.join(known)}",
            "plm tools --help",
            ExitCode.WRONG_USAGE,
        )
    return tuple(family for family in FAMILIES if not names or family.name in names)


def plan(
    places: Places,
    go_version: str,
    found: Mapping[str, Path],
    families: Iterable[Family] = FAMILIES,
) -> list[Work]:
    """The families that are wanted, with their places in the cache."""
    works = []
    for family in families:
        names = frozenset(program.name for program in family.programs) - found.keys()
        if names:
            source = places.checkout / "toolchain" / family.name
            key = content_key(family, source, go_version)
            folder = places.cache / "tools" / family.name / key
            works.append(Work(family, names, source, folder))
    return works


def _install(packages: Sequence[str], display: Display) -> tuple[str, ...]:
    missing = debian.missing(packages) if packages else ()
    if missing:
        display.say(f"installing Debian packages: {' '.join(missing)}")
        debian.install(missing, display.say)
    debian.tidy(display.say)
    return missing


def _substitutes(
    root: Path, families: Iterable[Family], report: Report, display: Display
) -> dict[str, Path]:
    used = {}
    for name, found in substitutes.find(root, families).items():
        version = found.version or "of no version that it tells"
        text = f"not using {found.path} ({version}): {found.wanted} is needed"
        if found.fits:
            text = f"using {name} {version} from {found.path}"
            used[name] = found.path
            report.rows.append(Row(name, f"v{found.version}", str(found.path)))
        report.said.append(text)
        display.say(text)
    return used


def build(work: Work, progress: go.Progress) -> float:
    """Build it and publish it whole; the seconds that took.

    Raises KitError with the compiler's last words; then nothing has changed.
    """
    if not work.source.is_dir():
        raise KitError(f"{work.source} is missing", "run plm from its checkout")
    shelf = work.folder.parent
    shelf.mkdir(parents=True, exist_ok=True)
    _clear(shelf.glob(f"{_UNFINISHED}*"))
    into = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=shelf))
    try:
        built = go.build(work.family, work.names, work.source, into, progress)
        if work.family.name == LANGUAGE_EXEC.family:
            go.copy_extra(LANGUAGE_EXEC, work.source.with_name(LANGUAGE_EXEC.pinned_by), into)
        (into / _RECORD).write_text(json.dumps(asdict(built)))
        into.chmod(0o755)
        # What runs from the old ones goes on: their flat links stay until the new ones are in place.
        _clear(path for path in shelf.iterdir() if path != into)
        into.rename(work.folder)
    finally:
        shutil.rmtree(into, ignore_errors=True)
    return built.seconds


def _clear(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _last_seconds(folder: Path) -> float | None:
    """How long the build before this one took."""
    records = sorted(folder.parent.glob(f"*/{_RECORD}"), key=lambda path: path.stat().st_mtime)
    return float(json.loads(records[-1].read_text())["seconds"]) if records else None


def _row(work: Work, *, is_new: bool) -> Row:
    record = json.loads((work.folder / _RECORD).read_text())
    source = "built" if is_new else "kept"
    seconds = round(record["seconds"], 1)
    return Row(work.family.name, work.family.version, source, seconds, record["peak_mib"])
