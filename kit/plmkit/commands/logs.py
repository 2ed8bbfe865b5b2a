"""`plm logs`: what a service or a node of the mesh says."""

import json
import re
import select
import subprocess
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_bytes
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

# Without --follow. Whom they cannot reach kubectl and the API server give up after 30 s, and they say whom.
_SILENCE_S_MAX = 45.0
_CHUNK_BYTES = 65_536
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
    silence_s_max = None if follow else _SILENCE_S_MAX
    with cures_for(context):
        code = _show(kubectl.command("logs", *arguments), output, silence_s_max)
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


def _show(command: Sequence[str], output: Output, silence_s_max: float | None) -> int:
    """All that kubectl says, as it comes: a stream has no end to wait for. Returns its exit code."""
    # No buffer of ours: what is in one no `select` sees.
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            chunks = _chunks(process, silence_s_max)
            if output is Output.JSON:
                _emit_objects(chunks)
            else:
                for chunk in chunks:
                    emit_bytes(chunk)
        except BaseException:
            process.kill()
            raise
    return process.returncode


def _chunks(process: subprocess.Popen[bytes], silence_s_max: float | None) -> Iterator[bytes]:
    """What it says until it ends. Raises KitError when it says nothing for that long; None: it may.

    No limit on the whole, such as kubectl's --request-timeout: a long log by a slow line would be cut off, and so would
    one that a person leafs through.
    """
    said = process.stdout
    while said is not None and (chunk := _next(said, silence_s_max)):
        yield chunk


def _next(said: IO[bytes], silence_s_max: float | None) -> bytes:
    if not select.select([said], [], [], silence_s_max)[0]:
        raise KitError(
            f"kubectl logs has said nothing for {silence_s_max:.0f} s:"
            " the cluster's API server, or the node of these pods, does not answer",
            "plm status",
            ExitCode.UNFIT_ENVIRONMENT,
        )
    return said.read(_CHUNK_BYTES)


def _emit_objects(chunks: Iterator[bytes]) -> None:
    """One JSON object a line."""
    # As bytes: a container may say any, and a carriage return ends no line of kubectl's.
    begun = b""
    for chunk in chunks:
        *lines, begun = (begun + chunk).split(b"\n")
        for line in lines:
            _emit_object(line)
    if begun:
        _emit_object(begun)


def _emit_object(line: bytes) -> None:
    emit(json.dumps(parsed(line.decode(errors="replace"))))


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
