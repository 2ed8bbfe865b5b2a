"""Payment files: each bad line stands alone, and a header that is wrong refuses the file with its cure."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plmkit.console import ExitCode, KitError
from plmkit.payment_file import LINE_BYTES_MAX, BadLine, Line, read_lines
from plmkit.receipts import Order

HEADER = b"idempotency_key,from,to,amount,currency\n"


def lines_of(body: bytes, header: bytes = HEADER) -> list[Line | BadLine]:
    return list(read_lines(io.BytesIO(header + body)))


def test_a_good_line_becomes_an_order() -> None:
    assert lines_of(b"k1,A,d,10000.00,USD\n") == [Line(2, "k1", Order("a", "d", "10000.00", "USD"))]


@pytest.mark.parametrize(
    "line", [b"k1,a,d,1.00,usd\n", b'k1, A , "D",  "1.00", "USD"\n', b'"k1","a","d","1.00","USD"']
)
def test_letters_spaces_and_quotation_marks_change_no_order(line: bytes) -> None:
    """A comma and a space is how many people write a list."""
    header = b'"Idempotency_Key", "FROM" ,To, amount,CURRENCY\r\n'
    assert lines_of(line, header) == [Line(2, "k1", Order("a", "d", "1.00", "USD"))]


def test_columns_are_found_by_name() -> None:
    header = b"\xef\xbb\xbfnote,Currency,amount,to,from,idempotency_key\r\n"
    assert lines_of(b"x,USD,1.00,d,a,k1\r\n", header) == [
        Line(2, "k1", Order("a", "d", "1.00", "USD"))
    ]


@pytest.mark.parametrize(
    ("file", "what", "cure"),
    [
        (b"", "lacks the columns idempotency_key, from", "begin the file with: idempotency_key,"),
        (b"idempotency_key,from,to\n", "lacks the columns amount, currency", "begin the file"),
        (HEADER.replace(b",", b";"), "lacks the columns", "commas between them"),
        (HEADER.strip() + b",Amount\n", "has amount twice", "begin the file with"),
        (HEADER.decode().encode("utf-16"), "no UTF-8 text", "save it as CSV in UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "no UTF-8 text", "save it as CSV in UTF-8"),
        (HEADER.replace(b"\n", b"\rk1,a,d,1.00,USD\r") * 99, "carriage returns alone", "tr '"),
        (b"note" * LINE_BYTES_MAX + b"," + HEADER, "longer than", "begin the file with"),
    ],
)
def test_a_wrong_header_refuses_the_file_before_anything_starts(
    file: bytes, what: str, cure: str
) -> None:
    with pytest.raises(KitError, match=what) as refused:
        read_lines(io.BytesIO(file))
    assert cure in refused.value.cure
    assert refused.value.exit_code is ExitCode.WRONG_USAGE


@pytest.mark.parametrize(
    "bad",
    [
        b"k1,a,d,1.00\n",
        b"k1,a,d,1,000.00,USD\n",
        b'k1,a,d,"1.00,USD\n',
        b"k1,a,d\r,1.00,USD\n",
        b'k1,a,"d\r",1.00,USD\n',
        b",a,d,1.00,USD\n",
        b"k\xff,a,d,1.00,USD\n",
        b"two words,a,d,1.00,USD\n",
        b"k\x00,a,d,1.00,USD\n",
        b"k1,a,d,1.00,USD\x00\n",
        b"k1,a\x1b[2J,d,1.00,USD\n",
        b"\x1a\n",
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


def test_an_amount_that_falls_into_two_columns_pays_no_part_of_it() -> None:
    """Where the amount stands last, 1,000.00 without quotation marks would be a payment of 1."""
    header = b"idempotency_key,from,to,currency,amount\n"
    [cut, whole, blank] = lines_of(
        b'k1,a,d,USD,1,000.00\nk2,a,d,USD,"1,000.00"\nk3,a,d,USD,1.00, ,\n', header
    )
    assert isinstance(cut, BadLine)
    assert cut.problem.startswith("6 columns where the first line has 5")
    assert isinstance(whole, Line)
    assert whole.order.amount == "1,000.00"
    assert isinstance(blank, Line), "a spreadsheet ends its lines with empty cells"


def test_empty_lines_count_but_are_no_payments() -> None:
    [line] = lines_of(b"\n\nk1,a,d,1.00,USD")
    assert line.number == 4


@given(st.binary(max_size=400))
def test_no_bytes_whatever_stop_the_reading(body: bytes) -> None:
    last = lines_of(body + b"\nlast,a,d,1.00,USD\n")[-1]
    assert isinstance(last, Line)
    assert last.key == "last"
