"""`plm status`: one screen, also when nothing runs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_json, emit_table
from plmkit.state import find_places

if TYPE_CHECKING:
    from plmkit.health import Health, Workload

_EXAMPLES = """
Examples:

  plm status

  plm status -o json | jq .troubles
"""


def register(app: typer.Typer) -> None:
    """Add `plm status`."""
    app.command("status", epilog=_EXAMPLES)(status)


def status(
    context: Annotated[
        str | None,
        typer.Option(help="A kubectl context; the embedded cluster when left out (PLM_CONTEXT)."),
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Show what runs, what is wrong and what to do next. Exit code 1 when something is wrong, 3 without a cluster."""
    from plmkit.kubectl import ClusterUnreachable

    try:
        health = _observe(context)
    except ClusterUnreachable as trouble:
        _emit_without_cluster(trouble, output)
        raise typer.Exit(ExitCode.UNFIT_ENVIRONMENT) from None
    if output is Output.JSON:
        emit_json({"cluster": "running", **asdict(health)})
    else:
        _emit_screen(health)
    if health.troubles:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _observe(context: str | None) -> "Health":
    from plmkit.health import read_health
    from plmkit.kubectl import find_kubectl

    kubectl = find_kubectl(find_places(), context)
    objects = kubectl.get("deployments,statefulsets,pods")
    try:
        nodes = kubectl.get("meshnodes.plm.dev")
    except KitError:
        # The kind comes with the operator: before the first `pulumi up` the cluster does not know it.
        nodes = []
    pods = [item for item in objects if item["kind"] == "Pod"]
    return read_health([item for item in objects if item["kind"] != "Pod"], pods, nodes)


def _emit_without_cluster(trouble: KitError, output: Output) -> None:
    if output is Output.JSON:
        emit_json(
            {
                "cluster": "down",
                "stores": [],
                "services": [],
                "nodes": [],
                "troubles": [{"what": trouble.what, "cure": trouble.cure}],
            }
        )
    else:
        emit(f"cluster   down: {trouble.what}\nnext      {trouble.cure}")


def _emit_screen(health: "Health") -> None:
    emit("cluster   running\n")
    _emit_workloads("STORE", health.stores)
    _emit_workloads("SERVICE", health.services)
    if health.nodes:
        rows = [
            (
                node.name,
                "yes" if node.is_ready else "no",
                str(node.restarts),
                "" if node.is_ready else f"{node.reason}: {node.message}",
            )
            for node in health.nodes
        ]
        emit_table(("NODE", "READY", "RESTARTS", "WHY NOT"), rows)
        emit("")
    for trouble in health.troubles:
        emit(f"wrong     {trouble.what}\n  next    {trouble.cure}")
    if not health.troubles:
        emit("all well  next: plm demo, or plm pay A D 10000.00 USD")


def _emit_workloads(title: str, lines: "Sequence[Workload]") -> None:
    if lines:
        rows = [(line.name, f"{line.ready}/{line.desired}", str(line.restarts)) for line in lines]
        emit_table((title, "READY", "RESTARTS"), rows)
        emit("")
