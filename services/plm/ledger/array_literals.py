"""Columns of values as Postgres writes arrays: one text each, which costs a tenth of a driver's look at every value."""

from collections.abc import Callable, Sequence
from typing import Any

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _numbers(column: Sequence[Any]) -> str:
    return "{" + ",".join(map(str, column)) + "}"


def _truths(column: Sequence[bool]) -> str:
    return "{" + ",".join(["t" if value else "f" for value in column]) + "}"


def _texts(column: Sequence[str]) -> str:
    together = "".join(column)
    if "\\" in together or '"' in together:
        column = [value.translate(_ESCAPES) for value in column]
    return '{"' + '","'.join(column) + '"}'


def _bytes(column: Sequence[bytes]) -> str:
    return '{"\\\\x' + '","\\\\x'.join([value.hex() for value in column]) + '"}'


_WRITERS: dict[str, Callable[[Sequence[Any]], str]] = {
    "bigint": _numbers,
    "integer": _numbers,
    "smallint": _numbers,
    "numeric": _numbers,
    "boolean": _truths,
    "text": _texts,
    "jsonb": _texts,
    "bytea": _bytes,
}


def array_literal(kind: str, column: Sequence[Any]) -> str:
    """The text of an array of this Postgres type. The column has one value at least, and none of them is None."""
    return _WRITERS[kind](column)
