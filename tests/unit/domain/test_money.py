"""Amounts survive text both ways, and nothing that is not an amount passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain.errors import Code, Refused
from plm.domain.money import MINOR_UNITS_MAX, SCALES, format_amount, parse_amount

currencies = st.sampled_from(sorted(SCALES))


@given(st.integers(0, MINOR_UNITS_MAX), currencies)
def test_formatting_and_parsing_are_inverse(minor: int, currency: str) -> None:
    assert parse_amount(format_amount(minor, currency), currency) == minor


@given(st.integers(1, MINOR_UNITS_MAX), currencies)
def test_a_debt_is_the_amount_with_a_minus(minor: int, currency: str) -> None:
    assert format_amount(-minor, currency) == "-" + format_amount(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("10000.00", "USD", 1_000_000),
        ("10000", "USD", 1_000_000),
        ("0.5", "USD", 50),
        ("0.01", "EUR", 1),
        ("7", "JPY", 7),
        ("0.000001", "USDC", 1),
        ("0", "USD", 0),
    ],
)
def test_decimal_text_means_its_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "1.",
        ".5",
        "01",
        "1e3",
        "1,000",
        "0x10",
        "NaN",
        "1.234",
        "\u0661",
        "1\n",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_amount(text, "USD")
    assert caught.value.code is Code.INVALID_AMOUNT


def test_yen_have_no_cents() -> None:
    with pytest.raises(Refused, match="0 digits"):
        parse_amount("1.0", "JPY")


@pytest.mark.parametrize("text", ["1" + "0" * 37, "9" * 64, "1" * 10_000])
def test_more_than_the_ledger_can_hold_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_amount(text, "USD")
    assert caught.value.code is Code.AMOUNT_TOO_LARGE


def test_unknown_currencies_are_refused_by_name() -> None:
    with pytest.raises(Refused, match="'XYZ' is not one of EUR, JPY, USD, USDC"):
        parse_amount("1", "XYZ")
