"""Payment files: each bad line stands alone; the result file survives a crash in the middle of a line."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plmkit.console import KitError
from plmkit.payment_file import (
    LINE_BYTES_MAX,
    BadLine,
    Journal,
    Line,
    bad_line_result,
    read_lines,
    result_of,
)
from plmkit.receipts import Order

HEADER = b"idempotency_key,from,to,amount,currency\n"


def lines_of(body: bytes, header: bytes = HEADER) -> list[Line | BadLine]:
    return list(read_lines(io.BytesIO(header + body)))


def test_a_good_line_becomes_an_order() -> None:
    assert lines_of(b"k1,A,d,10000.00,USD\n") == [Line(2, "k1", Order("a", "d", "10000.00", "USD"))]


def test_columns_are_found_by_name() -> None:
    header = b"\xef\xbb\xbfnote,Currency,amount,to,from,idempotency_key\r\n"
    assert lines_of(b"x,USD,1.00,d,a,k1\r\n", header) == [
        Line(2, "k1", Order("a", "d", "1.00", "USD"))
    ]


def test_a_missing_column_refuses_the_file_before_anything_starts() -> None:
    with pytest.raises(KitError, match="amount, currency"):
        read_lines(io.BytesIO(b"idempotency_key,from,to\n"))


@pytest.mark.parametrize(
    "bad",
    [
        b"k1,a,d,1.00\n",
        b'k1,a,d,"1.00,USD\n',
        b",a,d,1.00,USD\n",
        b"k\xff,a,d,1.00,USD\n",
        b"two words,a,d,1.00,USD\n",
        b"k\x00,a,d,1.00,USD\n",
        b"k" * 201 + b",a,d,1.00,USD\n",
        b"x" * (LINE_BYTES_MAX + 900) + b",a,d,1.00,USD\n",
    ],
)
def test_a_bad_line_has_its_number_and_spoils_nothing_behind_it(bad: bytes) -> None:
    before, found, after = lines_of(b"k0,a,d,1.00,USD\n" + bad + b"k2,a,d,2.00,USD\n")
    assert isinstance(before, Line)
    assert isinstance(found, BadLine)
    assert found.number == 3
    assert found.problem
    assert after == Line(4, "k2", Order("a", "d", "2.00", "USD"))


def test_empty_lines_count_but_are_no_payments() -> None:
    [line] = lines_of(b"\n\nk1,a,d,1.00,USD")
    assert line.number == 4


@given(st.binary(max_size=400))
def test_no_bytes_whatever_stop_the_reading(body: bytes) -> None:
    last = lines_of(body + b"\nlast,a,d,1.00,USD\n")[-1]
    assert isinstance(last, Line)
    assert last.key == "last"


LINE = Line(2, "k1", Order("a", "d", "1.00", "USD"))


def test_a_finished_line_is_known_to_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with Journal(path) as journal:
        assert journal.done(LINE) is None
        journal.append([result_of(LINE, "settled")])
    with Journal(path) as journal:
        found = journal.done(LINE)
        assert found is not None
        assert found.state == "settled"
        assert journal.done(Line(3, "k1", LINE.order)) is None


@pytest.mark.parametrize("state", ["unknown", "unfinished"])
def test_a_line_without_a_final_answer_is_asked_for_again(tmp_path: Path, state: str) -> None:
    path = tmp_path / "results.csv"
    with Journal(path) as journal:
        journal.append([result_of(LINE, state)])
    with Journal(path) as journal:
        assert journal.done(LINE) is None


def test_an_edited_line_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    bad = BadLine(2, "k1,a", "2 columns where 5 are needed")
    with Journal(path) as journal:
        journal.append([bad_line_result(bad)])
    with Journal(path) as journal:
        assert journal.done(bad) is not None
        assert journal.done(LINE) is None
        journal.append([result_of(LINE, "settled")])
    with Journal(path) as journal:
        assert journal.done(LINE) is not None
        assert journal.done(Line(2, "k1", Order("a", "d", "2.00", "USD"))) is None


def test_a_journal_cut_anywhere_keeps_every_whole_line(tmp_path: Path) -> None:
    """A crash tears the last line at any byte: what was whole is known, what was torn is asked for again."""
    whole = tmp_path / "whole.csv"
    lines = [Line(number, f"k{number}", LINE.order) for number in range(2, 6)]
    with Journal(whole) as journal:
        for line in lines:
            journal.append([result_of(line, "refused", code="no", detail='said "no",\nfirmly')])
    content = whole.read_bytes()
    for cut in range(len(content)):
        torn = tmp_path / "torn.csv"
        torn.write_bytes(content[:cut])
        ends = [index for index, byte in enumerate(content[:cut]) if byte == ord("\n")]
        with Journal(torn) as journal:
            known = [line for line in lines if journal.done(line) is not None]
            assert known == lines[: max(0, len(ends) - 1)]
            journal.append([result_of(line, "settled") for line in lines if line not in known])
        with Journal(torn) as journal:
            assert all(journal.done(line) is not None for line in lines)


def test_a_file_that_is_no_result_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious.csv"
    path.write_bytes(b"something,else\n1,2")
    with pytest.raises(KitError, match="no result file"), Journal(path):
        pass
    assert path.read_bytes() == b"something,else\n1,2"
