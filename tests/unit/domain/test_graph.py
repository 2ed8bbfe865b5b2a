"""The mesh as the router sees it: the same for every replica, entropy by the textbook, weights without floats."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain.graph import WEIGHT_SCALE, Entropy, Graph, entropy_bits
from plm.domain.mesh import Link, LinkPolicy, Registration


def link(
    source: str, target: str, volume: int = 100, fee: int = 1, *, enabled: bool = True
) -> Link:
    return Link(
        source, target, LinkPolicy(fee), volume, Registration("u", 1), 1, "USD", enabled, volume
    )


@pytest.mark.parametrize(
    ("volumes", "bits"),
    [([], 0.0), ([7], 0.0), ([0, 0], 0.0), ([5, 5], 1.0), ([1, 1, 1, 1], 2.0), ([9, 0], 0.0)],
)
def test_entropy_by_hand(volumes: list[int], bits: float) -> None:
    assert entropy_bits(volumes) == bits


def test_normalised_entropy_is_a_share_of_what_the_links_allow() -> None:
    assert entropy_bits([1, 1, 1, 1], Entropy.NORMALISED) == 1.0
    assert entropy_bits([3, 1], Entropy.NORMALISED) == entropy_bits([3, 1])


@given(st.lists(st.integers(0, 10**30), max_size=8))
def test_entropy_lies_between_nothing_and_the_even_split(volumes: list[int]) -> None:
    bits = entropy_bits(volumes)
    assert 0.0 <= bits <= math.log2(max(len(volumes), 1)) + 1e-9


@given(st.permutations([link("a", "b"), link("b", "c"), link("a", "c"), link("c", "a")]))
def test_edge_ids_do_not_depend_on_the_order_of_arrival(links: list[Link]) -> None:
    graph = Graph("cab", links)
    assert graph.nodes == ["a", "b", "c"]
    assert [edge.link.key for edge in graph.edges] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
        ("c", "a"),
    ]
    assert graph.outgoing == [[0, 1], [2], [3]]


def test_a_disabled_link_and_a_link_to_nowhere_are_no_links() -> None:
    links = [link("a", "b", enabled=False), link("a", "x"), link("b", "a")]
    assert [edge.link.key for edge in Graph("ab", links).edges] == [("b", "a")]


@given(st.integers(0, 10**20), st.integers(0, 10**6), st.integers(1, 10**20))
def test_a_weight_is_fee_times_one_plus_entropy(base: int, rate: int, amount: int) -> None:
    """Of the node the link leaves: two equal links make one bit."""
    policy = LinkPolicy(base, rate)
    links = [
        Link("a", to, policy, 1, Registration("u", 1), 1, "USD", True, 50) for to in ("b", "c")
    ]
    graph = Graph("abc", links)
    fee = base + math.ceil(Fraction(amount * rate, 1_000_000))
    assert graph.weights(amount) == [fee * 2 * WEIGHT_SCALE] * 2
    assert graph.is_proportional == (rate > 0)
