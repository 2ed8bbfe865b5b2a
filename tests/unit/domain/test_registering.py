"""Nodes and links: declared again without effect, changed once per generation, gone without losing money."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain import deciding
from plm.domain.books import Books, Changes
from plm.domain.deciding import Answer, Command
from plm.domain.errors import Code, PlmError
from plm.domain.mesh import Link, LinkPolicy, Node
from plm.domain.money import MINOR_UNITS_MAX
from plm.domain.orders import DisableOrder, LinkOrder, NodeOrder
from support import demo_mesh


def ask(books: Books, command: Command) -> Answer:
    return deciding.decide(books, command, 0)


def founded(volume: int = 1000) -> Books:
    books = Books()
    for command in demo_mesh.founding(volume):
        ask(books, command)
    books.changes = Changes()
    return books


def refused(books: Books, command: Command) -> Code:
    """The code of a refusal, once it is clear that it changed nothing."""
    with pytest.raises(PlmError) as caught:
        ask(books, command)
    assert not books.changes
    return caught.value.code


def volume(books: Books) -> int:
    return books.accounts["link/a/b"].posted


def test_the_same_declaration_again_changes_nothing() -> None:
    books = founded()
    for command in demo_mesh.founding(1000):
        ask(books, command)
    assert not books.changes


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=6))
def test_a_declared_volume_is_reached_whatever_was_declared_before(volumes: list[int]) -> None:
    """Each newer generation moves the difference once; external money is what is in the mesh, with a minus."""
    books = founded()
    for generation, declared in enumerate(volumes, 2):
        order = demo_mesh.link_order("a", "b", declared, generation)
        link = ask(books, order)
        assert ask(books, order) == link
        assert volume(books) == declared
        assert sum(account.posted for account in books.accounts.values()) == 0


def test_a_withdrawal_leaves_what_is_held() -> None:
    books = founded()
    for command in demo_mesh.whole_payment("p", amount=600)[:3]:
        ask(books, command)
    books.changes = Changes()
    order = demo_mesh.link_order("a", "b", 600, 2)
    assert refused(books, order) is Code.INSUFFICIENT_FUNDS
    assert refused(books, order) is Code.INSUFFICIENT_FUNDS
    assert ask(books, demo_mesh.link_order("a", "b", 700, 2)) == books.links["a", "b"]
    assert volume(books) == 700


def test_an_older_generation_comes_too_late_and_a_new_object_does_not() -> None:
    books = founded()
    ask(books, demo_mesh.link_order("a", "b", 5, 7))
    ask(books, demo_mesh.node_order("a", 7))
    books.changes = Changes()
    assert refused(books, demo_mesh.link_order("a", "b", 9, 6)) is Code.STALE_GENERATION
    assert refused(books, demo_mesh.node_order("a", 6)) is Code.STALE_GENERATION
    anew = demo_mesh.link_order("a", "b", 9, 1)
    ask(books, replace(anew, registration=replace(anew.registration, object_uid="another")))
    assert volume(books) == 9


def test_a_link_that_is_not_declared_any_more_leaves_the_graph_and_keeps_its_money() -> None:
    books = founded()
    ask(books, replace(demo_mesh.node_order("a", 2), links_to=("c",)))
    assert not books.links["a", "b"].enabled
    assert books.links["a", "c"].enabled
    assert volume(books) == 1000


def test_a_disabled_node_leaves_the_graph_keeps_its_money_and_can_come_back() -> None:
    books = founded()
    ask(books, DisableOrder("a"))
    assert [books.nodes["a"].enabled, books.links["a", "b"].enabled] == [False, False]
    assert volume(books) == 1000
    assert not books.accounts["link/a/b"].closed
    ask(books, demo_mesh.node_order("a"))
    link = ask(books, demo_mesh.link_order("a", "b", 1000))
    assert isinstance(link, Link)
    assert (books.nodes["a"].enabled, link.enabled, volume(books)) == (True, True, 1000)


def test_an_account_that_holds_nothing_is_closed_with_its_node_and_reopened_with_its_link() -> None:
    books = founded(volume=0)
    ask(books, DisableOrder("a"))
    assert books.accounts["link/a/b"].closed
    ask(books, demo_mesh.node_order("a"))
    ask(books, demo_mesh.link_order("a", "b", 0, 2))
    assert not books.accounts["link/a/b"].closed


@pytest.mark.parametrize(
    ("leaver", "before", "steps"), [("b", "a", 4), ("d", "b", 2), ("d", "b", 3), ("d", "b", 4)]
)
def test_a_node_that_leaves_under_a_payment_gets_its_money_all_the_same(
    leaver: str, before: str, steps: int
) -> None:
    """Once it need hold nothing more itself: what was begun must not fail at the very end."""
    books = founded(volume=5000)
    back = LinkOrder(leaver, before, LinkPolicy(0), 0, demo_mesh.registration(leaver))
    here = demo_mesh.node_order(leaver)
    ask(books, replace(here, links_to=(*here.links_to, before)))
    ask(books, back)
    course = demo_mesh.whole_payment("p")
    for command in [*course[:steps], DisableOrder(leaver)]:
        ask(books, command)
    name = f"link/{leaver}/{before}"
    account = books.accounts[name]
    assert account.closed
    for command in course[steps:]:
        ask(books, command)
    assert (account.posted, account.closed) == ({"b": 1100, "d": 1000}[leaver], False)
    assert name in books.changes.accounts
    ask(books, DisableOrder(leaver))
    assert not account.closed, "its money could not be reached"


def test_a_node_that_comes_back_can_be_paid_over_links_that_nobody_registered_anew() -> None:
    """B returns without its link to A; A's link to B was never touched, and a payment over it settles."""
    books = founded(volume=5000)
    back = LinkOrder("b", "a", LinkPolicy(0), 0, demo_mesh.registration("b"))
    ask(books, replace(demo_mesh.node_order("b"), links_to=("a", "d")))
    ask(books, back)
    ask(books, DisableOrder("b"))
    assert books.accounts["link/b/a"].closed
    ask(books, demo_mesh.node_order("b", 2))
    ask(books, demo_mesh.link_order("b", "d", 5000, 2))
    assert not books.links["b", "a"].enabled
    for command in demo_mesh.whole_payment("p"):
        ask(books, command)
    assert books.accounts["link/b/a"].posted == 1100


def test_versions_only_grow() -> None:
    """A reader of the bus tells old from new by them."""
    books = founded()
    versions = [books.links["a", "b"].version]
    commands: list[Command] = [
        demo_mesh.link_order("a", "b", 900, 2),
        *demo_mesh.whole_payment("p", amount=10),
        demo_mesh.node_order("a", 2),
        DisableOrder("a"),
    ]
    for command in commands:
        ask(books, command)
        versions.append(books.links["a", "b"].version)
    assert versions == sorted(versions)
    assert versions[-1] > versions[0]


NODE = demo_mesh.node_order("a", 2)
LINK = demo_mesh.link_order("a", "b", 5, 2)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (replace(NODE, node_id="A"), Code.INVALID_REQUEST),
        (replace(NODE, node_id="a/b"), Code.INVALID_REQUEST),
        (replace(NODE, role="bank"), Code.INVALID_REQUEST),
        (replace(NODE, currency="XYZ"), Code.UNKNOWN_CURRENCY),
        (replace(NODE, currency="EUR"), Code.CURRENCY_MISMATCH),
        (DisableOrder("nobody"), Code.UNKNOWN_NODE),
        (replace(LINK, to_node="a"), Code.SAME_NODE),
        (replace(LINK, to_node="nobody"), Code.UNKNOWN_NODE),
        (replace(LINK, to_node="e"), Code.CURRENCY_MISMATCH),
        (replace(LINK, declared_volume=-1), Code.INVALID_AMOUNT),
        (replace(LINK, declared_volume=MINOR_UNITS_MAX + 1), Code.INVALID_AMOUNT),
        (replace(LINK, policy=LinkPolicy(-1)), Code.INVALID_AMOUNT),
        (replace(LINK, policy=LinkPolicy(0, 1_000_001)), Code.INVALID_REQUEST),
        (replace(LINK, policy=LinkPolicy(0, 0, -1)), Code.INVALID_REQUEST),
        (replace(LINK, policy=LinkPolicy(0, 0, 2**31)), Code.INVALID_REQUEST),
        (replace(LINK, declared_volume=MINOR_UNITS_MAX), Code.AMOUNT_TOO_LARGE),
    ],
)
def test_what_cannot_be_is_refused_without_effect(
    order: NodeOrder | LinkOrder | DisableOrder, code: Code
) -> None:
    """The last one: each account could hold it, but external would owe it beside what it owes already."""
    assert refused(founded(), order) is code


def test_a_node_says_what_it_was_registered_with() -> None:
    node = ask(Books(), demo_mesh.node_order("b"))
    assert isinstance(node, Node)
    assert (node.node_id, node.role, node.currency, node.enabled) == ("b", "hub", "USD", True)
