"""`plm tools`: build what is missing into the cache, and show what each took."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from plmkit.console import Output, drawing_console, emit_json, emit_table, is_interactive, say
from plmkit.state import find_places

_EXAMPLES = """
Examples:

  plm tools                        build or find every tool

  plm tools helm                   this one alone, and no Debian packages

  plm tools --with-test-servers    the servers of make test on this host too
"""


def register(app: typer.Typer) -> None:
    """Add `plm tools`."""
    app.command("tools", epilog=_EXAMPLES)(tools)


def tools(
    families: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOOL", help="Only these, by their names in the table."),
    ] = None,
    with_test_servers: Annotated[
        bool, typer.Option(help="Also Postgres, for tests on this host.")
    ] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Build pinned tools from source, or use what fits on PATH. Interrupted, it goes on where it was."""
    from plmkit.tools import ensure

    places = find_places()
    report = ensure(
        places, only=families or (), with_test_servers=with_test_servers, display=Progress()
    )
    if output is Output.JSON:
        emit_json(
            {
                "bin": str(places.cache / "tools" / "bin"),
                "families": [asdict(row) for row in report.rows],
                "packagesInstalled": list(report.packages),
                "notes": report.said,
            }
        )
        return
    rows = [
        (
            row.family,
            row.version,
            row.source,
            f"{row.seconds:.0f}" if row.seconds else "",
            f"{row.peak_mib}" if row.peak_mib else "",
        )
        for row in report.rows
    ]
    emit_table(("TOOL", "VERSION", "SOURCE", "BUILD S", "PEAK MIB"), rows)


class Progress:
    """On a terminal one line that moves; elsewhere a line when a build begins and when it ends."""

    def __init__(self) -> None:
        self._status: Any = None
        self._title = ""

    @contextmanager
    def building(self, what: str, number: int, total: int, last_s: float | None) -> Iterator[None]:
        """While a build goes on. However it ends, the terminal gets its cursor back."""
        last = f", took {last_s:.0f} s last time" if last_s else ""
        self._title = f"building {what} ({number} of {total}{last})"
        if not is_interactive():
            say(self._title)
            yield
            return
        with drawing_console().status(self._title) as self._status:
            yield
        self._status = None

    def progress(self, compiled: int, packages: int, seconds: float) -> None:
        """It goes on. What the compiler still knows from last time is not compiled again."""
        if self._status is None:
            return
        doing = f"compiled {compiled} of at most {packages} packages, {seconds:.0f} s"
        self._status.update(f"{self._title}: {doing if packages else 'fetching modules'}")

    def say(self, text: str) -> None:
        """One line."""
        say(text)
