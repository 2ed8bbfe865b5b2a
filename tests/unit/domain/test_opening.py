"""Which routes an attempt may be opened over, and that a hop is held as it was quoted."""

from dataclasses import replace

import pytest
from plm.domain import relay
from plm.domain.deciding import Command
from plm.domain.errors import Code, Conflict, PlmError
from plm.domain.mesh import LinkPolicy
from plm.domain.orders import DisableOrder, Hop, LinkOrder
from plm.domain.payments import Attempt, AttemptState
from support import demo_mesh
from support.decisions import ask, founded, refused

OFFER = demo_mesh.attempt_order("p")
FIRST, SECOND = OFFER.hops


@pytest.mark.parametrize(
    ("hops", "code"),
    [
        ((), Code.INVALID_REQUEST),
        ((FIRST,), Code.INVALID_REQUEST),
        ((SECOND,), Code.INVALID_REQUEST),
        ((SECOND, FIRST), Code.INVALID_REQUEST),
        ((FIRST, FIRST, SECOND), Code.INVALID_REQUEST),
        ((FIRST, Hop("c", "d", 1000, LinkPolicy(300))), Code.INVALID_REQUEST),
        ((FIRST, replace(SECOND, policy=LinkPolicy(99))), Code.POLICY_CHANGED),
        ((Hop("a", "d", 1000, LinkPolicy(0)),), Code.POLICY_CHANGED),
        ((replace(FIRST, amount=1000), SECOND), Code.INVALID_AMOUNT),
        ((FIRST, replace(SECOND, amount=999)), Code.INVALID_AMOUNT),
        ((replace(FIRST, amount=-1100), SECOND), Code.INVALID_AMOUNT),
    ],
)
def test_a_route_is_a_path_of_known_links_with_amount_and_fees(
    hops: tuple[Hop, ...], code: Code
) -> None:
    books = founded()
    ask(books, demo_mesh.payment_order("p"))
    assert refused(books, replace(OFFER, hops=hops)) is code


@pytest.mark.parametrize("timeout_ms", [-1, 0, 30_001])
def test_an_attempt_has_a_bounded_time(timeout_ms: int) -> None:
    books = founded()
    ask(books, demo_mesh.payment_order("p"))
    assert refused(books, replace(OFFER, timeout_ms=timeout_ms)) is Code.INVALID_REQUEST


def test_a_route_through_a_disabled_node_is_not_as_quoted() -> None:
    books = founded()
    ask(books, demo_mesh.payment_order("p"), DisableOrder("b"))
    assert refused(books, OFFER) is Code.POLICY_CHANGED


def test_a_hop_whose_far_account_is_closed_is_not_as_quoted() -> None:
    """Else all holds are taken before the post fails, and no link is blamed for it."""
    books = founded()
    ask(books, demo_mesh.payment_order("p"))
    books.accounts["link/d/b"].closed = True
    with pytest.raises(PlmError, match="link b-d") as caught:
        ask(books, OFFER)
    assert caught.value.code is Code.POLICY_CHANGED
    assert relay.named_links(OFFER.hops, caught.value.detail) == (("b", "d"),)
    books.accounts["link/d/b"].closed = False
    ask(books, OFFER)


@pytest.mark.parametrize(
    "change",
    [
        LinkOrder("b", "d", LinkPolicy(99), 10_000, demo_mesh.registration("b", 2)),
        LinkOrder("b", "d", LinkPolicy(100, 1), 10_000, demo_mesh.registration("b", 2)),
        replace(demo_mesh.node_order("b", 2), links_to=()),
        DisableOrder("b"),
    ],
)
def test_a_link_is_held_as_it_was_quoted_or_not_at_all(change: Command) -> None:
    """Its owner need not pass money on for a fee that it no longer offers; what it has promised stands."""
    books = founded()
    ask(books, *demo_mesh.whole_payment("early")[:4], *demo_mesh.whole_payment("late")[:3], change)
    with pytest.raises(Conflict, match="link b-d") as caught:
        ask(books, demo_mesh.hold_order("late", 1, 1))
    assert caught.value.code is Code.POLICY_CHANGED
    assert relay.named_links(OFFER.hops, caught.value.detail) == (("b", "d"),)
    again = ask(books, demo_mesh.hold_order("early", 1, 1))
    assert again == books.attempts["early", 1]
    settled = ask(books, demo_mesh.post_order("early"))
    assert isinstance(settled, Attempt)
    assert settled.state is AttemptState.POSTED
