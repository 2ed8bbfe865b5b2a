"""Payment files made from a seed: good lines, and every kind of bad line with the answers that are right for it."""

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

HEADER = ("idempotency_key", "from", "to", "amount", "currency")


class Kind(StrEnum):
    """What a line is meant to be."""

    GOOD = "good"
    ZERO = "zero"
    NEGATIVE = "negative"
    UNKNOWN_NODE = "unknown_node"
    WRONG_CURRENCY = "wrong_currency"
    UNHEARD_CURRENCY = "unheard_currency"
    MALFORMED = "malformed"
    DECIMALS = "decimals"
    TOO_LARGE = "too_large"
    BEYOND_LIQUIDITY = "beyond_liquidity"
    SAME_NODE = "same_node"
    SAME_KEY_SAME_BODY = "same_key_same_body"
    SAME_KEY_OTHER_BODY = "same_key_other_body"
    MISSING_COLUMN = "missing_column"


# The codes that are right for a kind; empty: it settles.
CODES: dict[Kind, frozenset[str]] = {
    Kind.GOOD: frozenset(),
    Kind.ZERO: frozenset({"invalid_amount"}),
    Kind.NEGATIVE: frozenset({"invalid_amount"}),
    Kind.UNKNOWN_NODE: frozenset({"unknown_node"}),
    Kind.WRONG_CURRENCY: frozenset({"currency_mismatch"}),
    Kind.UNHEARD_CURRENCY: frozenset({"unknown_currency"}),
    Kind.MALFORMED: frozenset({"invalid_amount"}),
    Kind.DECIMALS: frozenset({"invalid_amount"}),
    Kind.TOO_LARGE: frozenset({"amount_too_large"}),
    Kind.BEYOND_LIQUIDITY: frozenset({"no_route", "insufficient_funds"}),
    Kind.SAME_NODE: frozenset({"same_node"}),
    Kind.SAME_KEY_SAME_BODY: frozenset(),
    Kind.SAME_KEY_OTHER_BODY: frozenset({"key_reused"}),
    Kind.MISSING_COLUMN: frozenset({"bad_line"}),
}

_AMOUNTS: dict[Kind, tuple[str, ...]] = {
    Kind.ZERO: ("0", "0.00"),
    Kind.NEGATIVE: ("-1.00", "-0.01", "-10000"),
    Kind.MALFORMED: ("1e3", "ten", "1.2.3", "0x10", "", "NaN", "Infinity", "1_000", "+5", ".5"),
    Kind.DECIMALS: ("1.005", "0.0000001"),
    Kind.TOO_LARGE: ("9" * 40, "1" * 3000),
    Kind.BEYOND_LIQUIDITY: ("999999999999.00",),
}
_CURRENCIES: dict[Kind, str] = {Kind.WRONG_CURRENCY: "EUR", Kind.UNHEARD_CURRENCY: "DOUBLOONS"}

BAD_KINDS = tuple(kind for kind in Kind if kind is not Kind.GOOD)


@dataclass(frozen=True)
class MadeLine:
    """One line of the file, and what it is meant to be."""

    number: int
    kind: Kind
    cells: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.cells[0]


def make_payments(
    seed: int, nodes: Sequence[str], count: int, *, currency: str = "USD", bad_every: int = 20
) -> list[MadeLine]:
    """The same lines for the same seed. One line in `bad_every` is bad, each kind in turn, so that none is missing."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    lines: list[MadeLine] = []
    bad = 0
    for index in range(count):
        kind = Kind.GOOD
        if index % bad_every == bad_every - 1:
            kind = BAD_KINDS[bad % len(BAD_KINDS)]
            bad += 1
        cells = _cells(chance, kind, f"s{seed}-{index:05d}", nodes, currency)
        if kind in {Kind.SAME_KEY_SAME_BODY, Kind.SAME_KEY_OTHER_BODY}:
            cells = _again(chance, kind, [line for line in lines if line.kind is Kind.GOOD])
        lines.append(MadeLine(index + 2, kind, cells))
    return lines


def _cells(
    chance: random.Random, kind: Kind, key: str, nodes: Sequence[str], currency: str
) -> tuple[str, ...]:
    sender, receiver = chance.sample(list(nodes), 2)
    amount = f"{chance.randint(1, 500)}.{chance.randint(0, 99):02d}"
    cells = {
        "key": key,
        "from": sender,
        "to": {Kind.UNKNOWN_NODE: "nobody", Kind.SAME_NODE: sender}.get(kind, receiver),
        "amount": chance.choice(_AMOUNTS.get(kind, (amount,))),
        "currency": _CURRENCIES.get(kind, currency),
    }
    if kind is Kind.MISSING_COLUMN:
        del cells["currency"]
    return tuple(cells.values())


def _again(chance: random.Random, kind: Kind, earlier: Sequence[MadeLine]) -> tuple[str, ...]:
    key, sender, receiver, amount, currency = chance.choice(earlier).cells
    if kind is Kind.SAME_KEY_OTHER_BODY:
        amount = "777.77" if amount != "777.77" else "777.78"
    return (key, sender, receiver, amount, currency)


def as_csv(lines: Sequence[MadeLine]) -> str:
    """The file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *(line.cells for line in lines)])
    return text.getvalue()
