"""What a hop costs and moves: nothing is lost to rounding, and each node keeps exactly its own fee."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain.fees import hop_amounts, link_fee

money = st.integers(0, 10**38)


@given(money, st.integers(0, 1_000_000), money)
def test_a_fee_is_rounded_up_to_the_next_minor_unit(base: int, rate: int, amount: int) -> None:
    assert link_fee(base, rate, amount) == base + math.ceil(Fraction(amount * rate, 1_000_000))


@pytest.mark.parametrize(
    ("base", "rate", "amount", "fee"),
    [
        (100, 0, 1_000_000, 100),
        (0, 1, 1, 1),
        (0, 1_000_000, 7, 7),
        (3, 500, 2_000, 4),
        (0, 0, 5, 0),
    ],
)
def test_fees_by_hand(base: int, rate: int, amount: int, fee: int) -> None:
    assert link_fee(base, rate, amount) == fee


@given(st.integers(1, 10**38), st.lists(money, min_size=1, max_size=8))
def test_each_node_between_keeps_its_own_fee_and_the_last_gets_the_amount(
    amount: int, fees: list[int]
) -> None:
    """The first fee is never paid: a sender owes itself nothing."""
    moved = hop_amounts(amount, fees)
    assert moved[-1] == amount
    assert [before - after for before, after in pairwise(moved)] == fees[1:]


def test_the_demo_route_by_hand() -> None:
    """10 000.00 over A-B-D with B's fee of 1.00: the first hop carries both."""
    assert hop_amounts(1_000_000, [0, 100]) == [1_000_100, 1_000_000]
