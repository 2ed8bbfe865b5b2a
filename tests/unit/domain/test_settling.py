"""A payment's course: what binds its key, which holds count, what ends it, and that it ends once."""

from dataclasses import replace

import pytest
from plm.domain import deciding, relay
from plm.domain.books import Books
from plm.domain.errors import Code, PlmError
from plm.domain.money import MINOR_UNITS_MAX
from plm.domain.orders import (
    CloseOrder,
    DisableOrder,
    HoldOrder,
    PaymentOrder,
    PostOrder,
    RefuseOrder,
    TransferOrder,
)
from plm.domain.payments import Attempt, AttemptState, HoldState, Payment, PaymentState
from support import demo_mesh
from support.decisions import ask, founded, refused


def spent(books: Books) -> int:
    return 10_000 - books.accounts["link/a/b"].posted


OFFER = demo_mesh.attempt_order("p")


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (replace(demo_mesh.payment_order("p"), to_node="nobody"), Code.UNKNOWN_NODE),
        (replace(demo_mesh.payment_order("p"), from_node="nobody"), Code.UNKNOWN_NODE),
        (replace(demo_mesh.payment_order("p"), to_node="e"), Code.CURRENCY_MISMATCH),
        (replace(demo_mesh.payment_order("p"), currency="EUR"), Code.CURRENCY_MISMATCH),
        (demo_mesh.payment_order("p"), Code.UNKNOWN_NODE),  # D has left
    ],
)
def test_what_the_mesh_cannot_carry_is_refused_for_good_and_binds_its_key(
    order: PaymentOrder, code: Code
) -> None:
    """The mesh may change, and an answer that was given may not: a late copy of the request would pay."""
    books = founded()
    ask(books, DisableOrder("d"))
    first = ask(books, order, now_ms=7)
    assert isinstance(first, Payment)
    assert (first.state, first.refusal_code, first.ended_at_ms) == (PaymentState.REFUSED, code, 7)
    ask(
        books, demo_mesh.node_order("d", 2), replace(demo_mesh.node_order("d", 2), node_id="nobody")
    )
    assert ask(books, order) == first
    assert refused(books, replace(order, amount=order.amount + 1)) is Code.KEY_REUSED
    assert refused(books, demo_mesh.attempt_order("p")) is Code.PAYMENT_ENDED


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (demo_mesh.payment_order("p", 0), Code.INVALID_AMOUNT),
        (demo_mesh.payment_order("p", 10**38), Code.AMOUNT_TOO_LARGE),
        (replace(demo_mesh.payment_order("p"), currency="XYZ"), Code.UNKNOWN_CURRENCY),
        (replace(demo_mesh.payment_order("p"), to_node="a"), Code.SAME_NODE),
    ],
)
def test_what_no_mesh_could_carry_is_refused_without_a_trace(
    order: PaymentOrder, code: Code
) -> None:
    """The same request is refused in the same way for ever, without anybody remembering it."""
    books = founded()
    assert refused(books, order) is code
    assert not books.changes
    settled = ask(books, *demo_mesh.whole_payment("p"))
    assert isinstance(settled, Attempt)


def test_a_far_account_without_room_is_named() -> None:
    books = founded()
    ask(books, *demo_mesh.whole_payment("p")[:4])
    books.accounts["link/d/b"].posted = MINOR_UNITS_MAX
    with pytest.raises(PlmError) as caught:
        ask(books, demo_mesh.post_order("p"))
    assert caught.value.code is Code.AMOUNT_TOO_LARGE
    assert relay.named_links(OFFER.hops, caught.value.detail) == (("b", "d"),)


def test_a_post_names_all_holds_of_its_own_attempt() -> None:
    books = founded()
    ask(books, *demo_mesh.whole_payment("p")[:3])
    whole = demo_mesh.post_order("p")
    assert refused(books, whole) is Code.INVALID_REQUEST
    ask(books, demo_mesh.hold_order("p", 1, 1))
    for hold_ids in ((), whole.hold_ids[:1], whole.hold_ids[::-1], ("p/2/0", "p/2/1")):
        assert refused(books, replace(whole, hold_ids=hold_ids)) is Code.INVALID_REQUEST
    posted = ask(books, whole)
    assert isinstance(posted, Attempt)
    assert [hold.state for hold in posted.holds] == [HoldState.POSTED] * 2
    assert spent(books) == 1100


def test_a_late_post_meets_the_tombstone_and_a_late_close_the_posting() -> None:
    """The race both ways: whoever comes first decides, and each is told the truth."""
    books = founded()
    ask(books, *demo_mesh.whole_payment("p")[:4], CloseOrder("p", 1, "slow"))
    assert refused(books, demo_mesh.post_order("p")) is Code.ATTEMPT_CLOSED
    assert (spent(books), books.accounts["link/a/b"].held) == (0, 0)
    answer = ask(books, *demo_mesh.whole_payment("q"), CloseOrder("q", 1, "slow"))
    assert isinstance(answer, Attempt)
    assert answer.state is AttemptState.POSTED
    assert spent(books) == 1100


@pytest.mark.parametrize(
    ("named", "kept"), [("a", "a"), ("b", "b"), ("d", "d"), ("c", ""), ("", "")]
)
def test_who_had_no_part_in_an_attempt_did_not_fail_it(named: str, kept: str) -> None:
    books = founded()
    answer = ask(books, *demo_mesh.whole_payment("p")[:3], CloseOrder("p", 1, "why", named))
    assert isinstance(answer, Attempt)
    assert answer.failed_node == kept


def test_an_attempt_closed_before_it_was_opened_stays_closed() -> None:
    books = founded()
    ask(books, demo_mesh.payment_order("p"), CloseOrder("p", 1, "never came"))
    assert refused(books, OFFER) is Code.ATTEMPT_CLOSED
    assert refused(books, demo_mesh.hold_order("p", 1, 0)) is Code.ATTEMPT_CLOSED
    assert refused(books, PostOrder("p", 1, (), "a")) is Code.ATTEMPT_CLOSED
    ask(books, demo_mesh.attempt_order("p", 2, "acd"))


def test_only_the_node_that_pays_holds_and_only_the_first_node_posts() -> None:
    books = founded()
    ask(books, *demo_mesh.whole_payment("p")[:2])
    for owner in ("b", "d", "", "A"):
        assert refused(books, HoldOrder("p", 1, 0, owner)) is Code.NOT_OWNER
    ask(books, demo_mesh.hold_order("p", 1, 0), demo_mesh.hold_order("p", 1, 1))
    for owner in ("b", "d", ""):
        assert refused(books, replace(demo_mesh.post_order("p"), owner=owner)) is Code.NOT_OWNER


def test_holds_expire_with_their_attempt() -> None:
    books = founded()
    ask(books, *demo_mesh.whole_payment("p")[:4], now_ms=1_000)
    assert deciding.expired(books, 6_000) == []
    assert refused(books, demo_mesh.post_order("p"), now_ms=6_001) is Code.ATTEMPT_CLOSED
    for order in deciding.expired(books, 6_001):
        ask(books, order, now_ms=6_001)
    attempt = books.attempts["p", 1]
    assert (attempt.state, attempt.close_reason) == (AttemptState.CLOSED, "expired")
    assert [hold.state for hold in attempt.holds] == [HoldState.VOIDED] * 2
    assert books.accounts["link/a/b"].held == 0
    assert deciding.expired(books, 60_000) == []


def test_no_attempt_outlives_the_longest_that_may_be_opened_now() -> None:
    books = founded()
    ask(books, *demo_mesh.whole_payment("near")[:2], now_ms=1_000)
    ask(books, *demo_mesh.whole_payment("far")[:2], now_ms=10**12)
    deciding.bound_deadlines(books, 2_000)
    assert books.deadlines == {("near", 1): 6_000, ("far", 1): 32_000}


def test_a_settled_payment_takes_no_further_attempt() -> None:
    books = founded()
    ask(books, *demo_mesh.whole_payment("p"))
    assert refused(books, demo_mesh.attempt_order("p", 2, "acd")) is Code.PAYMENT_ENDED
    again = ask(books, RefuseOrder("p", "no_route", "late"))
    assert isinstance(again, Payment)
    assert again.state is PaymentState.SETTLED


def test_a_refusal_is_kept_but_not_while_an_attempt_may_post() -> None:
    books = founded()
    ask(books, *demo_mesh.whole_payment("p")[:2])
    refusal = RefuseOrder("p", "invalid_amount", "no")
    assert refused(books, refusal) is Code.ATTEMPT_OPEN
    answer = ask(books, CloseOrder("p", 1, "given up"), refusal, RefuseOrder("p", "other", "later"))
    assert isinstance(answer, Payment)
    assert (answer.state, answer.refusal_code) == (PaymentState.REFUSED, "invalid_amount")


def test_attempts_are_bounded() -> None:
    books = founded()
    ask(books, demo_mesh.payment_order("p"))
    for number in range(1, 33):
        ask(books, demo_mesh.attempt_order("p", number), CloseOrder("p", number, "again"))
    assert refused(books, demo_mesh.attempt_order("p", 34)) is Code.INVALID_REQUEST
    assert refused(books, demo_mesh.attempt_order("p", 33)) is Code.ATTEMPTS_EXHAUSTED
    assert refused(books, CloseOrder("p", 33, "again")) is Code.ATTEMPTS_EXHAUSTED


@pytest.mark.parametrize("transfer_id", ["", "fund/a/b/2", "fund/"])
def test_a_clients_transfer_never_takes_the_name_of_a_links_funding(transfer_id: str) -> None:
    """It would stand in the way of the next registration of that link, and of everybody in its batch."""
    books = founded()
    order = TransferOrder(transfer_id, "link/a/b", "link/b/a", 1, "USD")
    assert refused(books, order) is Code.INVALID_REQUEST
    ask(books, demo_mesh.link_order("a", "b", 20_000, 2))
    assert books.transfers["fund/a/b/2"].amount == 10_000
