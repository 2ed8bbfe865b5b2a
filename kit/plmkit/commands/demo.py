"""`plm demo`: kill a node while it holds a payment, and show the books afterwards."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from plmkit.commands.verify import lines_of
from plmkit.console import ExitCode, Output, emit, emit_json, emit_table, say
from plmkit.state import find_places

if TYPE_CHECKING:
    from plmkit.demo import Report

_EXAMPLES = """
Examples:

  plm demo

  plm demo --times 10 -o json
"""


def register(app: typer.Typer) -> None:
    """Add `plm demo`."""
    app.command("demo", epilog=_EXAMPLES)(demo)


def demo(
    times: Annotated[int, typer.Option(min=1, max=90, help="Demos in a row.")] = 1,
    context: Annotated[
        str | None,
        typer.Option(help="A kubectl context; the embedded cluster when left out (PLM_CONTEXT)."),
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Pay 10 000.00 USD from A to D, kill B while it holds the money, and see it settle once over C."""
    from plmkit.kubectl import cures_for

    reports: list[Report] = []
    try:
        with cures_for(context):
            asyncio.run(_run(times, context, output, reports))
    finally:
        # Of ten demos the seventh may be one that cannot begin: the six are told all the same.
        if output is Output.JSON and reports:
            emit_json([report.as_json() for report in reports])
    if any(report.faults for report in reports):
        raise typer.Exit(ExitCode.CHECK_FAILED)


async def _run(times: int, context: str | None, output: Output, reports: "list[Report]") -> None:
    from plmkit.api import open_api
    from plmkit.credentials import chosen_credentials
    from plmkit.demo import run_demo
    from plmkit.kubectl import find_kubectl
    from plmkit.localcluster import LocalCluster
    from plmkit.victims import KilledTask, LeavingProcess

    places = find_places()
    kubectl = find_kubectl(places, context)
    cluster = LocalCluster(places, places.cache / "tools" / "bin")
    credentials = chosen_credentials(context)
    async with open_api(credentials) as api:

        def victim_of(node: str) -> KilledTask | LeavingProcess:
            if kubectl.is_embedded:
                return KilledTask(node, kubectl, cluster.kill_container_task)
            return LeavingProcess(node, kubectl, api)

        for _ in range(times):
            report = await run_demo(api, victim_of, say)
            reports.append(report)
            if output is Output.TEXT:
                _emit_report(report)
        if output is Output.TEXT:
            emit(f"\nAPI  {credentials.api_url}")


def _emit_report(report: "Report") -> None:
    from plmkit.receipts import arrow

    payment, times = report.payment, report.times
    ends = f"{arrow([payment.from_node])} to {arrow([payment.to_node])}"
    emit(f"{payment.amount} {payment.currency} from {ends}, fee {payment.fee}: {payment.state}")
    for attempt in payment.attempts:
        why = f": {attempt.reason}" if attempt.reason else ""
        emit(f"  attempt {attempt.number}  {arrow(attempt.route)}  {attempt.state}{why}")
    emit(
        f"  {arrow([report.victim])} reached {times.reached:.0f} ms, killed {times.killed:.0f} ms ({report.how}), "
        f"caught {times.caught:.0f} ms, settled {times.settled:.0f} ms, back {times.ready_again:.0f} ms"
    )
    rows = [
        (
            str(entry["seq"]),
            entry["kind"],
            entry["debit"],
            entry["credit"],
            entry["amount"],
            entry["prevHash"][:16],
            entry["hash"][:16],
        )
        for entry in report.entries
    ]
    emit("")
    emit_table(("SEQ", "KIND", "DEBIT", "CREDIT", "AMOUNT", "PREV HASH", "HASH"), rows)
    emit("")
    emit("\n".join(lines_of(report.verdict)))
    for fault in report.faults:
        emit(f"NOT AS CLAIMED  {fault}")
