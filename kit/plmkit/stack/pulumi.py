"""Runs the pulumi command in a workspace. Secrets go in by standard input, never as arguments."""

import json
import re
import shutil
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from plmkit import children
from plmkit.console import ExitCode, KitError, say
from plmkit.kubectl import with_context
from plmkit.stack.workspace import Workspace

# `2 changes` is the sum of others.
_COUNT = re.compile(r"\b\d+ (?!changes?\b)[a-z]+")
_STDERR = 2
_ANSWER_WITHIN_S = 120.0
# It waits itself for what it makes, for ten minutes each.
_DEPLOYED_WITHIN_S = 3600.0
_CANCELLED = 8
_NO_ROOM = "no space left on device"


def _find(workspace: Workspace) -> str:
    found = shutil.which("pulumi", path=workspace.environment()["PATH"])
    if found is None:
        raise KitError("pulumi is missing", "plm tools", ExitCode.UNFIT_ENVIRONMENT)
    return found


def run(workspace: Workspace, *arguments: str, folder: Path | None = None, stdin: str = "") -> str:
    """Run to the end and give what it said. Raises KitError with its last lines."""
    program = _program(workspace, [*arguments, "--non-interactive"], _ANSWER_WITHIN_S)
    done = children.attend(replace(program, cwd=folder or program.cwd, stdin=stdin))
    if done.returncode < 0:
        raise _killed(arguments[0], -done.returncode, "the same command again")
    if done.returncode != 0:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-15:])
        what = f"pulumi {arguments[0]} failed:\n{said}"
        if _NO_ROOM in said:
            cure = f"make room where {workspace.places.state} lies, then the same command again"
            raise KitError(what, cure, ExitCode.UNFIT_ENVIRONMENT)
        raise KitError(what, _cure(workspace))
    return done.stdout


def show(workspace: Workspace, arguments: Sequence[str]) -> int:
    """Run with its own display, on stderr: stdout is for data. Returns its exit code. Raises KitError when killed."""
    return _deploy(workspace, arguments, output=_STDERR, has_terminal=True)


def run_quietly(workspace: Workspace, arguments: Sequence[str]) -> int:
    """Run without its display. Says in one line what was done, or all that it said where it failed or was killed."""
    # A file, not a pipe: what was said until an interruption is there to be told.
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        done = 1
        try:
            done = _deploy(workspace, arguments, output=said.fileno(), has_terminal=False)
        finally:
            said.seek(0)
            text = said.read().strip()
            if done == 0:
                say(f"pulumi: {summary(text) or 'done'}")
            elif text:
                say(text)
    return done


def _deploy(
    workspace: Workspace, arguments: Sequence[str], *, output: int, has_terminal: bool
) -> int:
    program = _program(workspace, arguments, _DEPLOYED_WITHIN_S)
    done = children.attend(replace(program, output=output, has_terminal=has_terminal))
    if done.returncode == _CANCELLED:
        # By a key that its display has read itself.
        raise KeyboardInterrupt
    if done.returncode < 0:
        again = "the same command again: it removes the lock that is left, and looks first at what was half done"
        raise _killed(arguments[0], -done.returncode, again)
    return done.returncode


def _killed(word: str, number: int, cure: str) -> KitError:
    """Not by us: who tells us to end it, or lets it take too long, hears of that instead."""
    name = next((each.name for each in signal.Signals if each == number), f"signal {number}")
    why = ", as the kernel does where memory runs out" if number == signal.SIGKILL else ""
    # No verdict on the stack: it ends with 1 where Pulumi itself says that it failed.
    return KitError(f"pulumi {word} was killed by {name}{why}", cure, ExitCode.UNFIT_ENVIRONMENT)


def _program(workspace: Workspace, arguments: Sequence[str], timeout_s: float) -> children.LongOne:
    return children.LongOne(
        command=[_find(workspace), *arguments],
        env=workspace.environment(),
        cwd=workspace.places.checkout,
        timeout_s=timeout_s,
        cure=_cure(workspace),
    )


def _cure(workspace: Workspace) -> str:
    return with_context("plm status", workspace.context) + "; then the same command again"


def summary(said: str) -> str:
    """The counts under `Resources:`, which end what Pulumi says, such as `2 updated, 51 unchanged`."""
    _, _, block = said.rpartition("\nResources:\n")
    counts, _, _ = block.partition("\n\n")
    return ", ".join(_COUNT.findall(counts))


def outputs(workspace: Workspace) -> dict[str, Any]:
    """The stack's outputs."""
    found: dict[str, Any] = json.loads(run(workspace, "stack", "output", "--json"))
    return found
