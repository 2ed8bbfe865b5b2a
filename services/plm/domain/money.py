"""Amounts: integers in a currency's minor unit, never floats. Text in, text out, without loss."""

import re

from plm.domain.errors import Code, Refused

# Digits after the point, per currency. Source: ISO 4217 for USD, EUR and JPY; USDC has six on chain.
SCALES: dict[str, int] = {"USD": 2, "EUR": 2, "JPY": 0, "USDC": 6}

# NUMERIC(38,0) in the ledger's tables.
MINOR_UNITS_MAX = 10**38 - 1

# Checked before the conversion: int() of an endless string is a way to burn a processor.
_TEXT_LENGTH_MAX = 64

_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)


def scale_of(currency: str) -> int:
    """Digits after the point. Raises Refused(unknown_currency)."""
    try:
        return SCALES[currency]
    except KeyError:
        known = ", ".join(sorted(SCALES))
        raise Refused(
            Code.UNKNOWN_CURRENCY, f"currency {currency!r} is not one of {known}"
        ) from None


def parse_amount(text: str, currency: str) -> int:
    """Minor units of a decimal string such as "10000.00": plain digits, at most the currency's scale.

    Raises Refused(invalid_amount) for anything else, Refused(amount_too_large) past MINOR_UNITS_MAX.
    Zero parses: whether it may move is the ledger's question.
    """
    scale = scale_of(currency)
    if len(text) > _TEXT_LENGTH_MAX:
        raise Refused(Code.AMOUNT_TOO_LARGE, "an amount has at most 38 digits")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise Refused(Code.INVALID_AMOUNT, f"{text!r} is not a decimal number such as 10000.00")
    whole, fraction = match.group(1), match.group(2) or ""
    if len(fraction) > scale:
        raise Refused(Code.INVALID_AMOUNT, f"{currency} has {scale} digits after the point")
    minor = int(whole + fraction.ljust(scale, "0"))
    if minor > MINOR_UNITS_MAX:
        raise Refused(Code.AMOUNT_TOO_LARGE, "an amount has at most 38 digits")
    return minor


def format_amount(minor: int, currency: str) -> str:
    """The decimal string of minor units: the inverse of parse_amount; a minus sign for negative balances."""
    scale = scale_of(currency)
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(scale + 1, "0")
    if scale == 0:
        return sign + digits
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"
