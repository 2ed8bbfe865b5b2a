"""`plm status`: one screen, also when nothing runs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_json, emit_table
from plmkit.state import find_places

if TYPE_CHECKING:
    from plmkit.health import Health, Node, Workload

_EXAMPLES = """
Examples:

  plm status

  plm status -o json
"""

_NODES_SHOWN_MAX = 12


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
    from plmkit.kubectl import ClusterUnreachable, chosen_context

    context = chosen_context(context)
    cluster = {} if context else _daemons()
    try:
        _refuse_stopped(cluster)
        health = _observe(context)
    except ClusterUnreachable as trouble:
        _emit_without_cluster(trouble, cluster, output)
        raise typer.Exit(ExitCode.UNFIT_ENVIRONMENT) from None
    if output is Output.JSON:
        emit_json({"cluster": "running", "daemons": cluster, **asdict(health)})
    else:
        _emit_screen(health, cluster, context)
    if health.troubles:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _daemons() -> dict[str, bool]:
    """The embedded cluster's daemons, and which of them live; empty where it was never started."""
    from plmkit.localcluster import LocalCluster

    places = find_places()
    if not places.cluster.is_dir():
        return {}
    return LocalCluster(places, places.cache / "tools" / "bin").status().daemons


def _refuse_stopped(daemons: dict[str, bool]) -> None:
    """Where no daemon lives nobody answers: the question would leave by the machine's own way out, and wait."""
    from plmkit.kubectl import ClusterUnreachable

    if daemons and not any(daemons.values()):
        raise ClusterUnreachable("the cluster is stopped", "plm up", ExitCode.UNFIT_ENVIRONMENT)


def _observe(context: str | None) -> "Health":
    from plmkit.health import read_health
    from plmkit.kubectl import KindUnknown, find_kubectl

    kubectl = find_kubectl(find_places(), context)
    objects = kubectl.get("deployments,statefulsets,jobs,pods")
    try:
        nodes = kubectl.get("meshnodes.plm.dev")
    except KindUnknown:
        # The kind comes with the operator: before the first `pulumi up` the cluster does not know it.
        nodes = []
    pods, jobs = ([item for item in objects if item["kind"] == kind] for kind in ("Pod", "Job"))
    workloads = [item for item in objects if item["kind"] not in {"Pod", "Job"}]
    return read_health(workloads, pods, nodes, jobs, context=context)


def _emit_without_cluster(trouble: KitError, daemons: dict[str, bool], output: Output) -> None:
    if output is Output.JSON:
        found: dict[str, list[str]] = {kind: [] for kind in ("stores", "services", "nodes", "jobs")}
        troubles = [{"what": trouble.what, "cure": trouble.cure}]
        emit_json({"cluster": "down", "daemons": daemons, **found, "troubles": troubles})
    else:
        emit(f"cluster   down: {trouble.what}{_dead(daemons)}\nnext      {trouble.cure}")


def _dead(daemons: dict[str, bool]) -> str:
    dead = [name for name, lives in daemons.items() if not lives]
    return f"; not running: {', '.join(dead)}" if dead else ""


def _emit_screen(health: "Health", daemons: dict[str, bool], context: str | None) -> None:
    from plmkit.kubectl import with_context

    emit(f"cluster   running{_dead(daemons)}\n")
    _emit_workloads("STORE", health.stores)
    _emit_workloads("SERVICE", health.services)
    _emit_nodes(health.nodes)
    for trouble in health.troubles:
        emit(f"wrong     {trouble.what}\n  next    {trouble.cure}")
    if not health.troubles:
        demo = with_context("plm demo", context)
        emit(f"all well  next: {demo}, or {with_context('plm pay A D 10000.00 USD', context)}")


def _emit_nodes(nodes: "Sequence[Node]") -> None:
    """All nodes of a small mesh; of a large one those that are not Ready: it is to stay one screen."""
    if not nodes:
        return
    shown = (
        nodes if len(nodes) <= _NODES_SHOWN_MAX else [each for each in nodes if not each.is_ready]
    )
    if shown:
        rows = [
            (
                node.name,
                "yes" if node.is_ready else "no",
                str(node.restarts),
                "" if node.is_ready else f"{node.reason}: {node.message}",
            )
            for node in shown
        ]
        emit_table(("NODE", "READY", "RESTARTS", "WHY NOT"), rows)
    if len(nodes) > _NODES_SHOWN_MAX:
        emit(f"nodes     {sum(node.is_ready for node in nodes)} of {len(nodes)} ready")
    emit("")


def _emit_workloads(title: str, lines: "Sequence[Workload]") -> None:
    if lines:
        rows = [(line.name, f"{line.ready}/{line.desired}", str(line.restarts)) for line in lines]
        emit_table((title, "READY", "RESTARTS"), rows)
        emit("")
