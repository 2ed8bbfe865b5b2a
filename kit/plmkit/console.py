"""How `plm` talks: data to stdout, talk to stderr, progress only on a terminal, errors with their cure."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

# Where no terminal says how wide it is.
_WIDTH_OF_FILES = 200


class ExitCode(IntEnum):
    """Documented in docs/operating.md; scripts rely on them."""

    GOOD = 0
    CHECK_FAILED = 1
    WRONG_USAGE = 2
    UNFIT_ENVIRONMENT = 3
    NO_ANSWER_YET = 4
    OWN_FAULT = 70


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
    """One line of talk, to stderr; lost where nobody can hear it."""
    try:
        _write(sys.stderr, text)
    except OSError:
        _close(sys.stderr)


def emit(text: str) -> None:
    """Data, to stdout. Raises KitError when it cannot be written, and ends plm when its reader has gone."""
    with _to_be_read():
        _write(sys.stdout, text)


def emit_bytes(data: bytes) -> None:
    """Data as another program has said it, whatever its bytes mean. Raises as `emit` does."""
    with _to_be_read():
        if sys.stdout is not None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


@contextmanager
def _to_be_read() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _close(sys.stdout)
        if isinstance(error, BrokenPipeError):
            # As in `| head -1`: no reason to talk, and none to end as if a check had failed.
            raise SystemExit(ExitCode.UNFIT_ENVIRONMENT) from None
        raise KitError(
            f"the output cannot be written: {error.strerror}",
            "make room where it goes, then the same command again",
            ExitCode.UNFIT_ENVIRONMENT,
        ) from error


def _write(stream: TextIO | None, text: str) -> None:
    """A line, in the stream's own encoding; what that cannot carry is escaped. None is a stream closed at the start."""
    if stream is not None:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()


def _close(stream: TextIO) -> None:
    # Python would try once more at the end, and end with a code of its own.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
    width = None if sys.stdout is not None and sys.stdout.isatty() else _WIDTH_OF_FILES
    console = Console(file=sys.stdout, highlight=False, markup=False, width=width)
    with console.capture() as capture:
        console.print(table)
    # Rich pads every line to the table's width: nobody needs that in a log.
    emit("\n".join(line.rstrip() for line in capture.get().splitlines()))


def is_interactive() -> bool:
    """Whether progress may be drawn: stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def drawing_console() -> "Console":
    """What progress is drawn on: stderr. What is drawn where nobody can see it any more is lost."""
    from rich.console import Console  # noqa: PLC0415 - `plm --help` must answer at once

    return Console(file=cast(TextIO, _Drawn(sys.stderr)))


class _Drawn:
    """stderr as it is now: rich puts something of its own in its place while it draws."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        # Python's stderr keeps nothing back, so a flush has nothing left to fail at.
        try:
            self._stream.write(text)
        except OSError:
            _close(self._stream)
