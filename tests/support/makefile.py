"""The Makefile as tests see it: what a target would do, and a target carried out in a folder of the test's own."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Of the make that runs the tests; they would change what ours says.
_OF_ANOTHER_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")


def make(folder: Path, *arguments: str) -> str:
    """What make says in this folder. `.venv` stays as it is, however old."""
    done = subprocess.run(
        ["make", "--old-file=.venv/.synced", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_MAKE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def recipe_of(target: str) -> str:
    """The commands of a target, those of what it stands on included; nothing is run."""
    return make(ROOT, "--dry-run", target)
