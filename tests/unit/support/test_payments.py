"""The generator of payment files: repeatable, complete, and read by `plm pay` as it was meant."""

import io

from plmkit.payment_file import BadLine, read_lines
from support.payments import CODES, Kind, as_csv, make_payments

NODES = [f"m{number:02d}" for number in range(50)]


def test_the_same_seed_makes_the_same_file() -> None:
    assert as_csv(make_payments(1, NODES, 200)) == as_csv(make_payments(1, NODES, 200))
    assert as_csv(make_payments(1, NODES, 200)) != as_csv(make_payments(2, NODES, 200))


def test_no_kind_is_missing_and_each_has_its_codes() -> None:
    lines = make_payments(7, NODES, 2_000)
    assert {line.kind for line in lines} == set(Kind) == set(CODES)
    assert sum(line.kind is Kind.GOOD for line in lines) == 1_900


def test_lines_are_read_as_they_were_meant() -> None:
    lines = make_payments(7, NODES, 2_000)
    found = list(read_lines(io.BytesIO(as_csv(lines).encode())))
    assert [line.number for line in found] == [line.number for line in lines]
    for made, read in zip(lines, found, strict=True):
        assert isinstance(read, BadLine) == (made.kind is Kind.MISSING_COLUMN)


def test_repeated_keys_name_an_earlier_line() -> None:
    lines = make_payments(7, NODES, 2_000)
    good = {line.key: line for line in lines if line.kind is Kind.GOOD}
    for line in lines:
        if line.kind is Kind.SAME_KEY_SAME_BODY:
            assert good[line.key].cells == line.cells
        if line.kind is Kind.SAME_KEY_OTHER_BODY:
            assert good[line.key].cells != line.cells
        if line.kind in {Kind.SAME_KEY_SAME_BODY, Kind.SAME_KEY_OTHER_BODY}:
            assert good[line.key].number < line.number
