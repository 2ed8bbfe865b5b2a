"""What others see of the tools: one flat folder for PATH, and Pulumi's plugin folder."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from plmkit.state import Places
from plmkit.tools.recipes import PROVIDER_VERSION

# Found through Pulumi's plugin folder; on PATH it would be warned of.
_PROVIDER = "pulumi-resource-kubernetes"


def link(
    places: Places, built: Iterable[Path], found: Mapping[str, Path], *, is_all: bool = True
) -> None:
    """Bring both folders up to date with the programs that were built and those found elsewhere.

    A name that is not among them goes, unless these are not all.
    Hard links to what was built: pulumi looks for its language host beside its own binary.
    """
    binaries = {path.name: path for path in built if path.name not in found}
    provider = binaries.pop(_PROVIDER, None)
    if provider is not None:
        plugins = places.cache / "pulumi-home" / "plugins"
        folder = plugins / f"resource-kubernetes-v{PROVIDER_VERSION}"
        folder.mkdir(parents=True, exist_ok=True)
        _point(folder / _PROVIDER, provider)
    flat = places.cache / "tools" / "bin"
    flat.mkdir(parents=True, exist_ok=True)
    for name, target in binaries.items():
        if not _is_same(flat / name, target):
            _replace(flat / name, partial(_hard_link, target))
    for name, target in found.items():
        _point(flat / name, target)
    stale = {path.name for path in flat.iterdir()} - {*binaries, *found} if is_all else set()
    for name in stale:
        (flat / name).unlink()


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
