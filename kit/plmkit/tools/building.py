"""Brings every tool into the cache: what is missing is built family by family, each published whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from plmkit.console import KitError
from plmkit.state import Places
from plmkit.tools import debian, go, substitutes
from plmkit.tools.keys import content_key
from plmkit.tools.recipes import (
    FAMILIES,
    LANGUAGE_EXEC,
    PACKAGES,
    PROVIDER_VERSION,
    TEST_PACKAGES,
    Family,
)

_RECORD = "built.json"
_PROVIDER = "pulumi-resource-kubernetes"


@dataclass(frozen=True)
class Row:
    """One family in the table at the end. Seconds and memory are those of its build, also when that was earlier."""

    family: str
    version: str
    source: str  # built, kept, or the path of what was found
    seconds: float
    peak_mib: int


@dataclass
class Report:
    """What `ensure` did."""

    rows: list[Row] = field(default_factory=list)
    packages: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)


class Display(Protocol):
    """Where progress is shown."""

    def begin(self, what: str, number: int, total: int, last_s: float | None) -> None: ...
    def progress(self, packages: int, seconds: float) -> None: ...
    def end(self, what: str, seconds: float) -> None: ...
    def say(self, text: str) -> None: ...


class Silent:
    """Shows nothing."""

    def begin(self, what: str, number: int, total: int, last_s: float | None) -> None:
        """Nothing."""

    def progress(self, packages: int, seconds: float) -> None:
        """Nothing."""

    def end(self, what: str, seconds: float) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def ensure(
    places: Places, *, with_test_servers: bool = False, display: Display | None = None
) -> Report:
    """Every tool, ready in `$CACHE/tools/bin`. May be killed and called again at any time.

    Raises KitError when something can neither be found nor built.
    """
    display = display or Silent()
    report = Report()
    report.packages = _packages(with_test_servers=with_test_servers, display=display)
    root = places.cache / "tools"
    found = {
        name: each
        for name, each in substitutes.find(root).items()
        if _is_used(each, report, display)
    }
    version = go.find_version()
    work = [
        (family, root / family.name / content_key(family, places.checkout / "toolchain" / family.name, version))
        for family in FAMILIES
    ]  # fmt: skip
    due = [family for family, folder in work if not (folder / _RECORD).exists()]
    for family, folder in work:
        names = frozenset(each.name for each in family.programs) - found.keys()
        if not names:
            continue
        if family in due:
            display.begin(family.name, due.index(family) + 1, len(due), _last_seconds(folder))
            _build(family, names, places.checkout / "toolchain" / family.name, folder, display)
        report.rows.append(_row(family, folder, is_new=family in due))
    _link(root, [folder for _, folder in work if folder.exists()], found)
    _install_provider(places)
    return report


def _packages(*, with_test_servers: bool, display: Display) -> tuple[str, ...]:
    wanted: Sequence[str] = (*PACKAGES, *TEST_PACKAGES) if with_test_servers else PACKAGES
    missing = debian.missing(wanted)
    if missing:
        display.say(f"installing Debian packages: {' '.join(missing)}")
        debian.install(missing)
    return missing


def _is_used(found: substitutes.Found, report: Report, display: Display) -> bool:
    version = found.version or "of no version that it tells"
    text = f"using {found.name} {version} from {found.path}"
    if not found.fits:
        text = f"not using {found.path} ({version}): {found.wanted} is needed"
    report.said.append(text)
    display.say(text)
    return found.fits


def _build(
    family: Family, names: frozenset[str], source: Path, folder: Path, display: Display
) -> None:
    if not source.is_dir():
        raise KitError(f"{source} is missing", "run plm from its checkout")
    folder.parent.mkdir(parents=True, exist_ok=True)
    into = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        built = go.build(family, names, source, into, display.progress)
        if family.name == LANGUAGE_EXEC.family:
            go.copy_extra(LANGUAGE_EXEC, source, into)
        (into / _RECORD).write_text(json.dumps(asdict(built)))
        into.chmod(0o755)
        into.rename(folder)
    finally:
        shutil.rmtree(into, ignore_errors=True)
    for old in folder.parent.iterdir():
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    display.end(family.name, built.seconds)


def _last_seconds(folder: Path) -> float | None:
    """How long the build before this one took."""
    records = sorted(folder.parent.glob(f"*/{_RECORD}"), key=lambda path: path.stat().st_mtime)
    return float(json.loads(records[-1].read_text())["seconds"]) if records else None


def _row(family: Family, folder: Path, *, is_new: bool) -> Row:
    record = json.loads((folder / _RECORD).read_text())
    source = "built" if is_new else "kept"
    return Row(family.name, family.version, source, round(record["seconds"], 1), record["peak_mib"])


def _link(root: Path, folders: Sequence[Path], found: dict[str, substitutes.Found]) -> None:
    """One flat folder for PATH. Hard links: pulumi looks for its language host beside its own binary."""
    built = {
        path.name: path
        for folder in folders
        for path in folder.iterdir()
        # The provider is found through Pulumi's plugin folder; on PATH it would be warned of.
        if path.name not in {_RECORD, _PROVIDER}
    }
    flat = root / "bin"
    flat.mkdir(parents=True, exist_ok=True)
    for name, target in built.items():
        if not _is_same(flat / name, target):
            _replace(flat / name, partial(_hard_link, target))
    for name, each in found.items():
        _point(flat / name, each.path)
    for stale in flat.iterdir():
        if stale.name not in {*built, *found}:
            stale.unlink()


def _is_same(path: Path, target: Path) -> bool:
    return path.exists() and not path.is_symlink() and path.samefile(target)


def _hard_link(target: Path, fresh: Path) -> None:
    fresh.hardlink_to(target)


def _point(link: Path, target: Path) -> None:
    if not link.is_symlink() or link.readlink() != target:
        _replace(link, lambda fresh: fresh.symlink_to(target))


def _replace(path: Path, make: Callable[[Path], None]) -> None:
    """Make it under another name and rename it: nobody sees a moment without it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    make(fresh)
    fresh.replace(path)


def _install_provider(places: Places) -> None:
    binaries = list((places.cache / "tools" / "pulumi-kubernetes").glob(f"*/{_PROVIDER}"))
    folder = places.cache / "pulumi-home" / "plugins" / f"resource-kubernetes-v{PROVIDER_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    for binary in binaries:
        _point(folder / _PROVIDER, binary)
