"""Where something ends: accounts that are closed, columns that are full, what is remembered and for how long."""

import itertools

import pytest
from plm.domain import deciding, routes, routing
from plm.domain.books import Books
from plm.domain.errors import Code, Refused
from plm.domain.graph import Graph
from plm.domain.mesh import Link, LinkPolicy, Registration
from plm.domain.money import MINOR_UNITS_MAX
from plm.domain.orders import AttemptOrder, DisableOrder, Hop, TransferOrder
from plm.domain.routes import Quoter
from plm.domain.routing import Router
from support import demo_mesh

PROPORTIONAL = LinkPolicy(1, 10_000)
TRIANGLE = Graph(
    "abc",
    [
        Link(source, target, PROPORTIONAL, 10_000, Registration("u", 1), 1, "USD", True, 10_000)
        for source, target in itertools.permutations("abc", 2)
    ],
)


def founded(volume: int) -> Books:
    books = Books()
    for command in demo_mesh.founding(volume):
        deciding.decide(books, command, 0)
    return books


def refusal(books: Books, command: deciding.Command) -> Refused:
    """A refusal, once it is clear that it changed nothing."""
    before = len(books.changes.drafts)
    with pytest.raises(Refused) as caught:
        deciding.decide(books, command, 0)
    assert len(books.changes.drafts) == before
    return caught.value


def test_an_account_that_was_closed_takes_no_money() -> None:
    """It is closed when its node goes and it holds none."""
    books = founded(0)
    deciding.decide(books, DisableOrder("a"), 0)
    error = refusal(books, TransferOrder("t", "external/USD", "link/a/b", 1, "USD"))
    assert error.code is Code.ACCOUNT_CLOSED


def test_the_world_owes_no_more_than_its_column_holds() -> None:
    """Its account alone may be negative: nothing else stops it."""
    books = founded(0)
    most = TransferOrder("most", "external/USD", "link/a/b", MINOR_UNITS_MAX, "USD")
    deciding.decide(books, most, 0)
    error = refusal(books, TransferOrder("more", "external/USD", "link/a/c", 1, "USD"))
    assert (error.code, "owe" in error.detail) == (Code.AMOUNT_TOO_LARGE, True)


def test_a_route_that_comes_back_to_a_node_is_none() -> None:
    books = founded(demo_mesh.VOLUME)
    deciding.decide(books, demo_mesh.payment_order("p"), 0)
    round_about = (
        Hop("a", "b", 1000, LinkPolicy(0)),
        Hop("b", "a", 1000, LinkPolicy(0)),
        *demo_mesh.hops_over("acd", 1000),
    )
    error = refusal(books, AttemptOrder("p", 1, round_about, 5_000))
    assert (error.code, error.detail) == (Code.INVALID_REQUEST, "a route visits no node twice")


def test_of_a_payment_that_was_forgotten_nothing_is_left_in_memory() -> None:
    """The others stay, and so does the money."""
    books = founded(demo_mesh.VOLUME)
    for command in (*demo_mesh.whole_payment("p"), *demo_mesh.whole_payment("q")):
        deciding.decide(books, command, 0)
    money = {name: account.posted for name, account in books.accounts.items()}
    books.forget_payment("p")
    assert (set(books.payments), books.attempts_of("p")) == ({"q"}, ())
    assert {payment_id for payment_id, _ in books.attempts} == {"q"} == set(books.attempts_last)
    assert len(books.attempts_of("q")) == 1
    assert {name: account.posted for name, account in books.accounts.items()} == money


def test_a_quoter_remembers_few_amounts_and_quotes_the_others_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where fees follow the amount each has weights of its own, and callers choose the amounts."""
    amounts = [*range(100, 110)] * 2
    fresh = [Quoter(TRIANGLE).routes("a", "c", amount) for amount in amounts]
    monkeypatch.setattr(routes, "ROUTERS_MAX", 3)
    quoter = Quoter(TRIANGLE)
    assert [quoter.routes("a", "c", amount) for amount in amounts] == fresh
    assert len(quoter._routers) == 3


def test_no_more_disjoint_routes_are_looked_for_than_were_asked_for() -> None:
    quoter = Quoter(TRIANGLE)
    [best, other] = quoter.disjoint_routes("a", "c", 100, k=3)
    assert quoter.disjoint_routes("a", "c", 100, k=1) == [best]
    assert quoter.disjoint_routes("a", "c", 100, k=2) == [best, other]


def test_a_router_remembers_few_targets_and_finds_the_others_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = list(itertools.permutations(range(6), 2))
    weights = [source * 7 + target for source, target in ends]
    targets = [1, 2, 3, 4, 5] * 2

    def first_of(router: Router, target: int) -> object:
        return next(iter(router.paths(0, target, frozenset())))

    fresh = [first_of(Router(6, ends, weights), target) for target in targets]
    monkeypatch.setattr(routing, "TREES_MAX", 2)
    router = Router(6, ends, weights)
    assert [first_of(router, target) for target in targets] == fresh
    assert len(router._trees) == 2
