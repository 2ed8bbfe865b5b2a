"""How `plm` talks: data to stdout, talk to stderr, progress only on a terminal, errors with their cure."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any

# Where no terminal says how wide it is.
_WIDTH_OF_FILES = 200


class ExitCode(IntEnum):
    """Documented in docs/operating.md; scripts rely on them."""

    GOOD = 0
    CHECK_FAILED = 1
    WRONG_USAGE = 2
    UNFIT_ENVIRONMENT = 3
    NO_ANSWER_YET = 4


class Output(StrEnum):
    """What -o takes."""

    TEXT = "text"
    JSON = "json"


class KitError(Exception):
    """What went wrong, and the next command to type. Printed without a traceback."""

    def __init__(self, what: str, cure: str, exit_code: ExitCode = ExitCode.CHECK_FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure
        self.exit_code = exit_code


def say(text: str) -> None:
    """One line of talk, to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def emit(text: str) -> None:
    """Data, to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Data as JSON, to stdout."""
    emit(json.dumps(value, indent=2))


def emit_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Data as a table, to stdout; nothing is cut where stdout is no terminal."""
    # Imported here: `plm --help` must answer at once.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    console = Console(file=sys.stdout, highlight=False, markup=False, width=width)
    with console.capture() as capture:
        console.print(table)
    # Rich pads every line to the table's width: nobody needs that in a log.
    emit("\n".join(line.rstrip() for line in capture.get().splitlines()))


def is_interactive() -> bool:
    """Whether progress may be drawn: stderr is a terminal."""
    return sys.stderr.isatty()
