"""Which images there are, what each stands on and is made of, and when two builds of one would be the same."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import ExitCode, KitError

BASE = "debian"
MIGRATIONS = "migrations"
_KEY_LENGTH = 16
# What editors put beside a file for as long as it is open in them: .containerignore leaves it out, too.
_OF_EDITORS = re.compile(r"[.#].*|.*[~#]")


@dataclass(frozen=True)
class Recipe:
    """One image. Its Containerfile copies `sources`, paths in the checkout, and `tools`, names of built binaries."""

    name: str
    stands_on: str = ""
    argument: str = ""  # build argument that names what it stands on
    sources: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    is_published: bool = True
    # Nothing is fetched for it: a second of work, for which somebody may be waiting.
    is_quick: bool = False

    @property
    def containerfile(self) -> str:
        """Its path in the checkout."""
        return f"images/{self.name}/Containerfile"


# In the order of building.
RECIPES: tuple[Recipe, ...] = (
    Recipe("python", BASE, "BASE", is_published=False),
    Recipe("nats", tools=("nats-server",)),
    Recipe("caddy", tools=("caddy",)),
    Recipe(
        "services-environment",
        "python",
        "PYTHON",
        ("images/services/requirements.txt",),
        is_published=False,
    ),
    Recipe(
        "operator-environment",
        "python",
        "PYTHON",
        ("images/operator/requirements.txt",),
        is_published=False,
    ),
    Recipe("postgres", "python", "PYTHON", ("images/postgres/requirements.txt",)),
    Recipe(
        "services",
        "services-environment",
        "ENVIRONMENT",
        ("services/plm", MIGRATIONS),
        is_quick=True,
    ),
    Recipe(
        "operator",
        "operator-environment",
        "ENVIRONMENT",
        (
            "services/plm/__init__.py",
            "services/plm/domain",
            "services/plm/wire",
            "services/plm/telemetry",
            "services/plm/transport",
            "operator/plmop",
        ),
        is_quick=True,
    ),
)


def files_of(checkout: Path, recipe: Recipe) -> list[Path]:
    """Every file of the checkout that goes into an image, its Containerfile first."""
    found = [checkout / recipe.containerfile]
    for source in recipe.sources:
        found += sources_in(checkout / source)
    return found


def sources_in(path: Path) -> list[Path]:
    """A file, or all in a folder that are neither caches nor an editor's own, in order."""
    inside = [path]
    if path.is_dir():
        # A folder that goes at this very moment is passed over.
        inside = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    return sorted(
        each
        for each in inside
        if "__pycache__" not in each.parts
        and _OF_EDITORS.fullmatch(each.name) is None
        and each.is_file()
    )


def content_key(files: Iterable[tuple[str, bytes]], parts: Iterable[str]) -> str:
    """Over names and contents of the files and whatever else decides: keys of what it stands on and of its tools."""
    digest = hashlib.sha256("\n".join(parts).encode())
    for name, content in files:
        digest.update(f"\n{name}\n".encode())
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:_KEY_LENGTH]


def _tool_key(binary: Path) -> str:
    try:
        with binary.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise KitError(
            f"the tool {binary.name} is missing", "plm tools", ExitCode.UNFIT_ENVIRONMENT
        ) from None


def keys(checkout: Path, tools_bin: Path, base_key: str) -> Mapping[str, str]:
    """The content key of every image."""
    found = {BASE: base_key}
    for recipe in RECIPES:
        files = _contents(checkout, files_of(checkout, recipe))
        tools = [_tool_key(tools_bin / name) for name in recipe.tools]
        on = [found[recipe.stands_on]] if recipe.stands_on else []
        found[recipe.name] = content_key(files, [*on, *tools])
    return found


def migrations_key(checkout: Path) -> str:
    """Of the migrations alone: whether those of two images are the same."""
    return content_key(_contents(checkout, sources_in(checkout / MIGRATIONS)), [])


def _contents(checkout: Path, files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        # An editor replaces files at this very moment: one that has gone is no part of it.
        with suppress(FileNotFoundError):
            yield str(path.relative_to(checkout)), path.read_bytes()
