"""Payment files, read line by line.

A bad line is one that cannot become a request; whether money may move is the gateway's question.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from plmkit.console import ExitCode, KitError
from plmkit.receipts import KEY_RULE, Order, is_key

COLUMNS = ("idempotency_key", "from", "to", "amount", "currency")
LINE_BYTES_MAX = 4096
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # all but the tab


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
class _Header:
    """Where the columns are, and how many there are of them and others."""

    places: Mapping[str, int]
    width: int


def read_lines(source: BinaryIO) -> Iterator[Line | BadLine]:
    """Every line of a payment file but the header and empty ones, as it is read. Raises KitError for a wrong header.

    Each physical line stands alone: a stray quotation mark spoils its own line and nothing behind it.
    """
    # Not a generator itself: a wrong header is refused before anything starts.
    return _lines(source, _header(source.readline(LINE_BYTES_MAX + 1)))


def _lines(source: BinaryIO, header: _Header) -> Iterator[Line | BadLine]:
    number = 1
    while raw := source.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(raw) > LINE_BYTES_MAX:
            _skip_to_line_end(source, raw)
            yield BadLine(number, "", f"longer than {LINE_BYTES_MAX} bytes")
        elif raw.strip():
            yield _line(number, raw, header)


def _header(raw: bytes) -> _Header:
    text = _decoded(raw).removeprefix("\ufeff")
    if "\0" in text or "\ufffd" in text:
        raise _refused("the file is no UTF-8 text", "save it as CSV in UTF-8")
    if "\r" in text:
        how = "tr '\\r' '\\n' < FILE > NEW, then plm pay --file NEW"
        raise _refused("the file's lines end with carriage returns alone", how)
    begin = f"begin the file with: {','.join(COLUMNS)} (commas between them)"
    if len(raw) > LINE_BYTES_MAX:
        raise _refused(f"the file's first line is longer than {LINE_BYTES_MAX} bytes", begin)
    names = [name.strip().lower() for name in next(csv.reader([text], skipinitialspace=True), [])]
    if missing := [column for column in COLUMNS if column not in names]:
        raise _refused(f"the file's first line lacks the columns {', '.join(missing)}", begin)
    if twice := [column for column in COLUMNS if names.count(column) > 1]:
        # Which of two amounts is meant?
        raise _refused(f"the file's first line has {', '.join(twice)} twice", begin)
    return _Header({column: names.index(column) for column in COLUMNS}, len(names))


def _refused(what: str, cure: str) -> KitError:
    return KitError(what, cure, ExitCode.WRONG_USAGE)


def _skip_to_line_end(source: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = source.readline(LINE_BYTES_MAX)


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace").rstrip("\r\n")


def _line(number: int, raw: bytes, header: _Header) -> Line | BadLine:
    text = _decoded(raw)
    if _CONTROL.search(text):
        return BadLine(number, text, "a control character stands within the line")
    try:
        cells = next(csv.reader([text], strict=True, skipinitialspace=True))
    except csv.Error as error:
        return BadLine(number, text, f"not a line of CSV: {error}")
    needed = max(header.places.values()) + 1
    if len(cells) < needed:
        return BadLine(number, text, f"{len(cells)} columns where {needed} are needed")
    if any(cell.strip() for cell in cells[header.width :]):
        # 1,000.00 without quotation marks is two cells: its payment would be one of 1.
        return BadLine(
            number,
            text,
            f"{len(cells)} columns where the first line has {header.width}: "
            "a value with a comma in it needs quotation marks",
        )
    values = (cells[header.places[column]].strip() for column in COLUMNS)
    key, from_node, to_node, amount, currency = values
    if not is_key(key):
        return BadLine(number, text, f"the idempotency key is not {KEY_RULE}")
    # Letters as `plm pay A D 1.00 usd` takes them.
    order = Order(from_node.lower(), to_node.lower(), amount, currency.upper())
    return Line(number, key, order)
