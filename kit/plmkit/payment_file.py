"""Payment files: reading them line by line, and the result file that is also the journal of a run.

A bad line is one that cannot become a request; whether money may move is the gateway's question.
"""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import BinaryIO, Self

from plmkit.console import ExitCode, KitError
from plmkit.receipts import KEY_RULE, Order, is_key

COLUMNS = ("idempotency_key", "from", "to", "amount", "currency")
LINE_BYTES_MAX = 4096

# States of a result that stand; every other one is tried again by the next run.
FINAL_STATES = frozenset({"settled", "refused", "bad_line"})


@dataclass(frozen=True)
class Line:
    """One payment of a file."""

    number: int
    key: str
    order: Order


@dataclass(frozen=True)
class BadLine:
    """A line that cannot become a request, and why."""

    number: int
    text: str
    problem: str


@dataclass(frozen=True)
class Result:
    """One line of the result file. Field names are its header."""

    line: int
    idempotency_key: str
    from_node: str
    to_node: str
    amount: str
    currency: str
    state: str
    code: str = ""
    detail: str = ""
    payment_id: str = ""
    route: str = ""
    fee: str = ""
    attempts: int = 0
    milliseconds: float = 0.0


RESULT_COLUMNS = tuple(column.name for column in fields(Result))
_HEADER = (",".join(RESULT_COLUMNS) + "\n").encode()


def read_lines(source: BinaryIO) -> Iterator[Line | BadLine]:
    """Every line of a payment file but the header and empty ones, as it is read. Raises KitError for a wrong header.

    Each physical line stands alone: a stray quotation mark spoils its own line and nothing behind it.
    """
    # Not a generator itself: a wrong header is refused before anything starts.
    return _lines(source, _places_of_columns(_decoded(source.readline(LINE_BYTES_MAX))))


def _lines(source: BinaryIO, places: dict[str, int]) -> Iterator[Line | BadLine]:
    number = 1
    while raw := source.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(raw) > LINE_BYTES_MAX:
            _skip_to_line_end(source, raw)
            yield BadLine(number, "", f"longer than {LINE_BYTES_MAX} bytes")
        elif raw.strip():
            yield _line(number, raw, places)


def _places_of_columns(header: str) -> dict[str, int]:
    names = [name.strip().lower() for name in next(csv.reader([header.lstrip("\ufeff")]), [])]
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise KitError(
            f"the file's first line lacks the columns {', '.join(missing)}",
            f"begin the file with: {','.join(COLUMNS)}",
            ExitCode.WRONG_USAGE,
        )
    return {column: names.index(column) for column in COLUMNS}


def _skip_to_line_end(source: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = source.readline(LINE_BYTES_MAX)


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace").rstrip("\r\n")


def _line(number: int, raw: bytes, places: dict[str, int]) -> Line | BadLine:
    text = _decoded(raw)
    try:
        cells = next(csv.reader([text], strict=True))
    except csv.Error as error:
        return BadLine(number, text, f"not a line of CSV: {error}")
    if len(cells) <= max(places.values()):
        return BadLine(
            number, text, f"{len(cells)} columns where {max(places.values()) + 1} are needed"
        )
    key, from_node, to_node, amount, currency = (
        cells[places[column]].strip() for column in COLUMNS
    )
    if not is_key(key):
        return BadLine(number, text, f"the idempotency key is not {KEY_RULE}")
    return Line(number, key, Order(from_node.lower(), to_node.lower(), amount, currency))


class Journal:
    """The result file: one line per finished payment, appended and synced in batches. The last row of a line counts.

    Opening it drops a last line that a crash has torn; so a run that was killed goes on where it stood.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._done: dict[int, Result] = {}

    def __enter__(self) -> Self:
        self._path.touch()
        whole = self._path.read_bytes()
        if not (whole.startswith(_HEADER) or _HEADER.startswith(whole)):
            raise KitError(
                f"{self._path} is no result file of plm",
                "name another one with --results",
                ExitCode.WRONG_USAGE,
            )
        kept = whole[: whole.rfind(b"\n") + 1]
        self._done = _done_in(kept.decode("utf-8", errors="replace"))
        self._file = self._path.open("r+b")
        self._file.truncate(len(kept))
        self._file.seek(len(kept))
        if not kept:
            self._file.write(_HEADER)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def done(self, line: Line | BadLine) -> Result | None:
        """The final result that an earlier run wrote for this very line; None when the line is new or was edited."""
        found = self._done.get(line.number)
        return found if found is not None and _same_request(found, line) else None

    def append(self, results: Sequence[Result]) -> None:
        """Write results and sync them to disk. What this returned from is not asked for again by a later run."""
        if self._file is None:
            raise RuntimeError("the journal is not open")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(astuple(result) for result in results)
        self._file.write(text.getvalue().encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def _done_in(text: str) -> dict[int, Result]:
    results = [_result(row) for row in csv.reader(text.split("\n")[1:-1])]
    return {
        result.line: result
        for result in results
        if result is not None and result.state in FINAL_STATES
    }


def _same_request(result: Result, line: Line | BadLine) -> bool:
    if isinstance(line, BadLine):
        return result.state == "bad_line" and result.detail == line.problem
    asked = (line.key, *line.order.body().values())
    return asked == (
        result.idempotency_key,
        result.from_node,
        result.to_node,
        result.amount,
        result.currency,
    )


def _result(row: Sequence[str]) -> Result | None:
    """A row of the journal; None when nobody can read it: its payment is asked for again."""
    if len(row) != len(RESULT_COLUMNS):
        return None
    cells = dict(zip(RESULT_COLUMNS, row, strict=True))
    return result_of(
        Line(
            int(cells["line"]),
            cells["idempotency_key"],
            Order(cells["from_node"], cells["to_node"], cells["amount"], cells["currency"]),
        ),
        cells["state"],
        code=cells["code"],
        detail=cells["detail"],
    )


def result_of(line: Line, state: str, *, code: str = "", detail: str = "") -> Result:
    """A result of a line; whoever has the receipt adds what it says."""
    order = line.order
    return Result(
        line=line.number,
        idempotency_key=line.key,
        from_node=order.from_node,
        to_node=order.to_node,
        amount=order.amount,
        currency=order.currency,
        state=state,
        code=code,
        # One result is one line, whatever the gateway said.
        detail=" ".join(detail.split()),
    )


def bad_line_result(line: BadLine) -> Result:
    """How a bad line stands in the result file."""
    return Result(line.number, "", "", "", "", "", "bad_line", "bad_line", line.problem)
