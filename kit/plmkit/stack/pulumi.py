"""Runs the pulumi command in a workspace. Secrets go in by standard input, never as arguments."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plmkit.console import ExitCode, KitError
from plmkit.stack.workspace import Workspace


def _find(workspace: Workspace) -> str:
    found = shutil.which("pulumi", path=workspace.environment()["PATH"])
    if found is None:
        raise KitError("pulumi is missing", "plm tools", ExitCode.UNFIT_ENVIRONMENT)
    return found


def run(
    workspace: Workspace, *arguments: str, folder: Path | None = None, stdin: str | None = None
) -> str:
    """Run to the end and give what it said. Raises KitError with its last lines."""
    done = subprocess.run(
        [_find(workspace), *arguments, "--non-interactive"],
        cwd=folder or workspace.places.checkout,
        env=workspace.environment(),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-15:]
        raise KitError(
            f"pulumi {arguments[0]} failed:\n" + "\n".join(said),
            "plm status; then the same command again",
        )
    return done.stdout


def show(workspace: Workspace, arguments: Sequence[str], *, to_stderr: bool) -> int:
    """Run with its own display. Returns its exit code."""
    done = subprocess.run(
        [_find(workspace), *arguments],
        cwd=workspace.places.checkout,
        env=workspace.environment(),
        stdout=2 if to_stderr else None,
        check=False,
    )
    return done.returncode


def outputs(workspace: Workspace) -> dict[str, Any]:
    """The stack's outputs."""
    found: dict[str, Any] = json.loads(run(workspace, "stack", "output", "--json"))
    return found
