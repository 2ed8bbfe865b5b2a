"""`plm logs`: what a service or a node of the mesh says."""

import json
import subprocess
from collections.abc import Sequence
from typing import Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit
from plmkit.state import find_places

_EXAMPLES = """
Examples:

  plm logs gateway -f

  plm logs B            (the mesh node)

  plm logs ledger -o json
"""


def register(app: typer.Typer) -> None:
    """Add `plm logs`."""
    app.command("logs", epilog=_EXAMPLES)(logs)


def logs(  # noqa: PLR0913 - one per argument and option of the command line
    name: Annotated[str, typer.Argument(metavar="SERVICE|NODE", help="Such as gateway, pg or B.")],
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as more is said.")] = False,
    previous: Annotated[
        bool, typer.Option("-p", "--previous", help="Of the container before the last restart.")
    ] = False,
    tail: Annotated[int, typer.Option(min=0, help="Lines per pod.")] = 200,
    context: Annotated[
        str | None,
        typer.Option(help="A kubectl context; the embedded cluster when left out (PLM_CONTEXT)."),
    ] = None,
    output: Annotated[
        Output, typer.Option("-o", "--output", help="text, or json: an object for each line.")
    ] = Output.TEXT,
) -> None:
    """Show the log of a service, a store or a mesh node, all its pods together."""
    from plmkit.kubectl import find_kubectl

    kubectl = find_kubectl(find_places(), context)
    owned = {
        f"{item['kind'].lower()}/{item['metadata']['name']}"
        for item in kubectl.get("deployments,statefulsets")
    }
    target = resolve(name, owned)
    arguments = [target, "--all-pods", "--all-containers", "--prefix", f"--tail={tail}"]
    arguments += ["--follow"] * follow + ["--previous"] * previous
    command = kubectl.command("logs", *arguments)
    code = _emit_objects(command) if output is Output.JSON else subprocess.call(command)
    raise typer.Exit(ExitCode.CHECK_FAILED if code else ExitCode.GOOD)


def _emit_objects(command: Sequence[str]) -> int:
    """One JSON object a line, as the lines come: a stream has no end to wait for. Returns kubectl's exit code."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                emit(json.dumps(parsed(line)))
        except BaseException:
            process.kill()
            raise
    return process.returncode


def parsed(line: str) -> dict[str, str]:
    """What kubectl says with --prefix, in parts: `[pod/NAME/CONTAINER] what the container said`."""
    source, _, said = line.rstrip("\n").partition("] ")
    _, pod, container = source.lstrip("[").split("/")
    return {"pod": pod, "container": container, "line": said}


def resolve(name: str, owned: set[str]) -> str:
    """The workload that a person means: a service or store by its name, else a mesh node. Raises KitError."""
    folded = name.lower()
    for candidate in (folded, f"node-{folded}"):
        for kind in ("deployment", "statefulset"):
            if f"{kind}/{candidate}" in owned:
                return f"{kind}/{candidate}"
    known = ", ".join(sorted(item.partition("/")[2].removeprefix("node-") for item in owned))
    raise KitError(
        f"there is no service or node {name!r}; there are: {known or 'none'}",
        "plm status",
        ExitCode.WRONG_USAGE,
    )
