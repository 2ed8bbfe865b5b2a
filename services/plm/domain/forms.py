"""The form of a command: texts and numbers that every column can hold. Checked before anything is decided.

What a column or an index refuses would fail a whole batch and depose its writer, not only the one who sent it.
"""

from typing import Any

from plm.domain.deciding import Command
from plm.domain.errors import Code, Refused

# Names stand in indexes, whose rows have a size; notes are only read.
NAME_CHARS_MAX = 200
NOTE_CHARS_MAX = 2_000
_NOTES = ("reason", "detail")
_BYTES_MAX = 64
_INTEGER_MAX = 2**63 - 1
# Minor units have 38 digits, and the decisions look at each: see plm.domain.books.check_amount.
_AMOUNTS = ("amount", "declared_volume", "base_fee")


def note(text: str) -> str:
    """What is kept of a text that somebody else wrote: only what a column can hold, cut where it is too long."""
    kept = text[:NOTE_CHARS_MAX].replace("\0", "")
    return kept if kept.isascii() else kept.encode(errors="ignore").decode()


def name(text: str) -> str:
    """A name that somebody else wrote, or none where no column can hold it: cut, it would be another's."""
    return text if len(text) <= NAME_CHARS_MAX and note(text) == text else ""


def check_form(command: Command) -> None:
    """Raise Refused(invalid_request) for what no column can hold, however deep it lies in the command."""
    for field in command.__slots__:
        value = getattr(command, field)
        if (
            type(value) is str
            and len(value) <= NAME_CHARS_MAX
            and value.isascii()
            and "\0" not in value
        ):
            continue  # nearly every field of every command: no call is spent on it
        _check(field, value)


def _check(field: str, value: object) -> None:
    if isinstance(value, str):
        _check_text(field, value)
    elif isinstance(value, bytes):
        if len(value) > _BYTES_MAX:
            raise Refused(Code.INVALID_REQUEST, f"{field} has more than {_BYTES_MAX} bytes")
    elif isinstance(value, int):
        if field not in _AMOUNTS and abs(value) > _INTEGER_MAX:
            raise Refused(Code.INVALID_REQUEST, f"{field} is no 64-bit number")
    else:
        for part, each in _parts(field, value):
            _check(part, each)


def _parts(field: str, value: Any) -> list[tuple[str, object]]:
    """What a list or a record consists of; the parts of a list are called as the list is."""
    if isinstance(value, tuple):
        return [(field, each) for each in value]
    return [(part, getattr(value, part)) for part in value.__slots__]


def _check_text(field: str, text: str) -> None:
    chars_max = NOTE_CHARS_MAX if field in _NOTES else NAME_CHARS_MAX
    if len(text) > chars_max:
        raise Refused(Code.INVALID_REQUEST, f"{field} has more than {chars_max} characters")
    if "\0" in text:
        raise Refused(Code.INVALID_REQUEST, f"{field} contains a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Refused(Code.INVALID_REQUEST, f"{field} is no valid Unicode") from error
