"""What a hop costs and what it moves. The router quotes with these, the ledger checks with the same."""

from collections.abc import Sequence

PARTS = 1_000_000


def link_fee(base_fee: int, fee_rate_ppm: int, amount: int) -> int:
    """Fee of one link for a payment of `amount`, minor units, rounded up to the next whole one.

    The rate applies to the payment's amount, never to amount plus fees: so a quote needs no iteration.
    """
    return base_fee + -(-amount * fee_rate_ppm // PARTS)


def hop_amounts(amount: int, fees: Sequence[int]) -> list[int]:
    """What each hop moves, given the fee of every link of the route in order, minor units.

    The fee of link u → v belongs to u, so hop i carries the amount and every fee behind it.
    The first link's own fee is not paid: a sender owes itself nothing.
    """
    amounts = [amount] * len(fees)
    for position in range(len(fees) - 2, -1, -1):
        amounts[position] = amounts[position + 1] + fees[position + 1]
    return amounts
