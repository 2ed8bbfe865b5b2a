"""Programs on PATH that fit: used instead of building, and said."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from plmkit.tools.recipes import FAMILIES, Family, Program, Substitute

_ANSWER_WITHIN_S = 10


@dataclass(frozen=True)
class Found:
    """A program on PATH and what it says of itself."""

    name: str
    path: Path
    version: str
    fits: bool
    wanted: str


def version_in(text: str, substitute: Substitute) -> str:
    """The version in a program's answer, or an empty string."""
    match = re.search(substitute.pattern, text)
    return match.group(1) if match else ""


def find(own: Path, families: Iterable[Family] = FAMILIES) -> dict[str, Found]:
    """Programs on PATH that could stand in for these families' own, by name; those under `own` are our own builds."""
    found = {}
    for program in (each for family in families for each in family.programs):
        if program.substitute is None:
            continue
        looked_up = shutil.which(program.name)
        if looked_up is not None and not Path(looked_up).is_relative_to(own):
            found[program.name] = _examine(program, program.substitute, Path(looked_up))
    return found


def _examine(program: Program, substitute: Substitute, path: Path) -> Found:
    try:
        done = subprocess.run(
            [path, *substitute.arguments],
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN_S,
            check=False,
        )
        version = version_in(done.stdout, substitute)
    except (OSError, subprocess.TimeoutExpired):
        version = ""
    fits = re.fullmatch(substitute.fits, version) is not None
    return Found(program.name, path, version, fits, substitute.wanted)
