"""`plm doctor`: is this machine fit, and what cures it."""

from dataclasses import asdict
from typing import Annotated

import typer

from plmkit.console import ExitCode, Output, emit, emit_json, emit_table
from plmkit.kubectl import chosen_context
from plmkit.state import find_places

_EXAMPLES = """
Examples:

  plm doctor                    every check; exit code 3 when one fails

  plm doctor --context prod     only what another cluster needs
"""


def register(app: typer.Typer) -> None:
    """Add `plm doctor`."""
    app.command("doctor", epilog=_EXAMPLES)(doctor)


def doctor(
    context: Annotated[
        str | None, typer.Option(help="Kubeconfig context; without one, the embedded cluster.")
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Check this machine and change nothing. `plm up` runs it first."""
    from plmkit.doctor import examine

    findings = examine(find_places(), is_embedded=chosen_context(context) is None)
    is_fit = not any(finding.is_fatal for finding in findings)
    if output is Output.JSON:
        emit_json({"fit": is_fit, "checks": [asdict(finding) for finding in findings]})
    else:
        rows = [("no" if each.is_fatal else "ok", each.name, each.what) for each in findings]
        emit_table(("", "CHECK", "FOUND"), rows)
        for finding in findings:
            if finding.is_fatal:
                emit(f"{finding.name}: {finding.cure}")
    if not is_fit:
        raise typer.Exit(ExitCode.UNFIT_ENVIRONMENT)
