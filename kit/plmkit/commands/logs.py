"""`plm logs`: what a service or a node of the mesh says."""

import json
import re
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit
from plmkit.state import find_places

if TYPE_CHECKING:
    from plmkit.kubectl import Kubectl

_EXAMPLES = """
Examples:

  plm logs gateway -f

  plm logs B            (the mesh node)

  plm logs migrate      (the job that prepares the database)

  plm logs ledger -o json
"""

_PREFIXED = re.compile(r"\[pod/(?P<pod>[^/\]]+)/(?P<container>[^/\]]+)\] (?P<said>.*)", re.DOTALL)


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
    """Show the log of a service, a store or a mesh node, all its pods together; of a job, its newest pod."""
    from plmkit.kubectl import cures_for, find_kubectl

    kubectl = find_kubectl(find_places(), context)
    with cures_for(context):
        target = _target(kubectl, name)
    arguments = [*target, "--all-containers", "--prefix", f"--tail={tail}"]
    arguments += ["--follow"] * follow + ["--previous"] * previous
    command = kubectl.command("logs", *arguments)
    code = _emit_objects(command) if output is Output.JSON else subprocess.call(command)
    raise typer.Exit(ExitCode.CHECK_FAILED if code else ExitCode.GOOD)


def _target(kubectl: "Kubectl", name: str) -> list[str]:
    from plmkit.health import app_of

    items = kubectl.get("deployments,statefulsets,jobs")
    jobs = sorted(
        (item for item in items if item["kind"] == "Job"),
        key=lambda item: str(item["metadata"].get("creationTimestamp")),
    )
    owned = {
        f"{item['kind'].lower()}/{item['metadata']['name']}"
        for item in items
        if item["kind"] != "Job"
    }
    found = resolve(name, owned | {f"job/{app_of(item)}" for item in jobs})
    kind, _, app = found.partition("/")
    if kind != "job":
        return [found, "--all-pods"]
    return [
        _pod_of_job(kubectl, [item["metadata"]["name"] for item in jobs if app_of(item) == app])
    ]


def _pod_of_job(kubectl: "Kubectl", jobs: Sequence[str]) -> str:
    """Of several Jobs, one for each image, the youngest pod is the one that people mean."""
    from plmkit.health import JOB_LABEL, newest_pod_of_jobs
    from plmkit.kubectl import NAMESPACE

    pods = kubectl.get("pods", f"--selector={JOB_LABEL} in ({','.join(jobs)})")
    newest = newest_pod_of_jobs(jobs, pods)
    if newest is None:
        # Kubernetes removes the pod of a Job that it has given up, and with it what it said.
        raise KitError(
            f"no pod of job {jobs[-1]} is left, and its log is gone",
            f"kubectl delete job {jobs[-1]} -n {NAMESPACE}; plm up; meanwhile plm logs again",
        )
    return f"pod/{newest}"


def _emit_objects(command: Sequence[str]) -> int:
    """One JSON object a line, as the lines come: a stream has no end to wait for. Returns kubectl's exit code."""
    # As bytes: a container may say any, and a carriage return ends no line of kubectl's.
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            for line in process.stdout or ():
                emit(json.dumps(parsed(line.decode(errors="replace"))))
        except BaseException:
            process.kill()
            raise
    return process.returncode


def parsed(line: str) -> dict[str, str]:
    """What kubectl says with --prefix, in parts: `[pod/NAME/CONTAINER] what the container said`."""
    line = line.rstrip("\n")
    found = _PREFIXED.match(line)
    if found is None:
        # kubectl's own words, or the end of a line that was cut in two.
        return {"pod": "", "container": "", "line": line}
    return {"pod": found["pod"], "container": found["container"], "line": found["said"]}


def resolve(name: str, owned: set[str]) -> str:
    """The workload that a person means: a service, store or job by its name, else a mesh node. Raises KitError."""
    folded = name.lower()
    # The operator's Deployment bears plm's name, as operators of several makers may stand in one list.
    for candidate in (folded, f"plm-{folded}", f"node-{folded}"):
        for kind in ("deployment", "statefulset", "job"):
            if f"{kind}/{candidate}" in owned:
                return f"{kind}/{candidate}"
    names = (item.partition("/")[2] for item in owned)
    known = ", ".join(sorted(name.removeprefix("plm-").removeprefix("node-") for name in names))
    raise KitError(
        f"there is no service or node {name!r}; there are: {known or 'none'}",
        "plm status",
        ExitCode.WRONG_USAGE,
    )
