"""`plm verify`: proof from the rows, not from memory."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from plmkit.console import ExitCode, Output, emit, emit_json

if TYPE_CHECKING:
    from plmkit.receipts import Verdict

_EXAMPLES = """
Examples:

  plm verify ledger

  plm verify ledger -o json
"""


def register(app: typer.Typer) -> None:
    """Add `plm verify`."""
    group = typer.Typer(
        help="Recompute and compare: the ledger.", epilog=_EXAMPLES, no_args_is_help=True
    )
    group.command("ledger", epilog=_EXAMPLES)(ledger)
    app.add_typer(group, name="verify")


def ledger(
    context: Annotated[
        str | None,
        typer.Option(help="A kubectl context; the embedded cluster when left out (PLM_CONTEXT)."),
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Recompute the hash chain and the sums from the rows; exit code 1 when anything is wrong."""
    from plmkit.kubectl import cures_for

    with cures_for(context):
        verdict = asyncio.run(_ask(context))
    if output is Output.JSON:
        emit_json(verdict.raw)
    else:
        emit("\n".join(lines_of(verdict)))
    if not verdict.ok:
        raise typer.Exit(ExitCode.CHECK_FAILED)


async def _ask(context: str | None) -> "Verdict":
    from plmkit.api import open_api
    from plmkit.credentials import chosen_credentials

    async with open_api(chosen_credentials(context)) as api:
        return await api.verify()


def lines_of(verdict: "Verdict") -> list[str]:
    """The verdict for people; `plm demo` ends with the same lines."""
    sound = "ledger verified" if _is_anchored(verdict) else "rows verified, anchors not read"
    head = sound if verdict.ok else "LEDGER BROKEN"
    sums = ", ".join(f"{currency} {total}" for currency, total in sorted(verdict.sums.items()))
    return [
        f"{head}  {verdict.entries} entries recomputed in {verdict.elapsed_ms} ms",
        f"  head        {verdict.head_seq}  {verdict.head_hash}",
        f"  anchored    {_anchored(verdict)}",
        f"  sums        {sums or 'no money yet'}",
        *(
            f"  {finding.kind:<11} {finding.seq or '-'}  {finding.detail}"
            for finding in verdict.findings
        ),
    ]


def _is_anchored(verdict: "Verdict") -> bool:
    # Messages that are no anchors take nothing from the anchors beside them: those were compared.
    return not verdict.anchors_unread or verdict.anchored_seq > 0


def _anchored(verdict: "Verdict") -> str:
    if not _is_anchored(verdict):
        return f"not read: {verdict.anchors_unread}. A tail that was cut off would not be seen"
    behind = f"{verdict.anchored_seq} ({verdict.unanchored} behind it not anchored yet)"
    if verdict.anchors_unread:
        return f"{behind}; {verdict.anchors_unread}, all the others were compared"
    return behind
