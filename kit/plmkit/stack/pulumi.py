"""Runs the pulumi command in a workspace. Secrets go in by standard input, never as arguments."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plmkit.console import ExitCode, KitError, say
from plmkit.stack.workspace import Workspace

# `2 changes` is the sum of others.
_COUNT = re.compile(r"\b\d+ (?!changes?\b)[a-z]+")


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


def show(workspace: Workspace, arguments: Sequence[str]) -> int:
    """Run with its own display, on stderr: stdout is for data. Returns its exit code."""
    return _deploy(workspace, arguments, output=2)


def run_quietly(workspace: Workspace, arguments: Sequence[str]) -> int:
    """Run without its display. Says in one line what was done, or all that it said where it failed."""
    # A file, not a pipe: what was said until an interruption is there to be told.
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        done = 1
        try:
            done = _deploy(workspace, arguments, output=said.fileno())
        finally:
            said.seek(0)
            text = said.read().strip()
            if done == 0:
                say(f"pulumi: {summary(text) or 'done'}")
            elif text:
                say(text)
    return done


def _deploy(workspace: Workspace, arguments: Sequence[str], *, output: int) -> int:
    done = subprocess.run(
        [_find(workspace), *arguments],
        cwd=workspace.places.checkout,
        env=workspace.environment(),
        stdout=output,
        stderr=output,
        check=False,
    )
    return done.returncode


def summary(said: str) -> str:
    """The counts under `Resources:`, which end what Pulumi says, such as `2 updated, 51 unchanged`."""
    _, _, block = said.rpartition("\nResources:\n")
    counts, _, _ = block.partition("\n\n")
    return ", ".join(_COUNT.findall(counts))


def outputs(workspace: Workspace) -> dict[str, Any]:
    """The stack's outputs."""
    found: dict[str, Any] = json.loads(run(workspace, "stack", "output", "--json"))
    return found
