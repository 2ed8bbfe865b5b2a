"""The ledger as the operator knows it: refreshed by one question for all, refusals kept until the next resync."""

import asyncio
from itertools import count
from typing import Any

import pytest
from plm.domain.errors import Code, Conflict, PlmError, Unavailable
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.orders import LinkOrder, NodeOrder
from plmop.registrations import Registrations
from support.paper_ledger import PaperLedger
from support.waiting import until


def node(name: str, *links_to: str, generation: int = 1) -> NodeOrder:
    return NodeOrder(name, "sme", "USD", Registration(f"uid-{name}", generation), links_to)


def line(name: str, to: str, volume: int, generation: int = 1) -> LinkOrder:
    return LinkOrder(name, to, LinkPolicy(0), volume, Registration(f"uid-{name}", generation))


async def meshed() -> tuple[PaperLedger, Registrations]:
    ledger = PaperLedger()
    registrations = Registrations(ledger.call)
    await registrations.register_node(node("a", "b"))
    await registrations.register_node(node("b"))
    await registrations.register_link(line("a", "b", 1000))
    return ledger, registrations


async def test_its_own_calls_are_known_without_asking() -> None:
    ledger, registrations = await meshed()
    found = registrations.node("a")
    assert found is not None
    assert [link.declared_volume for link in found.links] == [1000]
    assert registrations.enabled() == {"a", "b"}
    assert "ListNodes" not in ledger.calls
    assert await registrations.refresh() == frozenset(), "asking brings nothing new"


async def test_a_refresh_names_those_that_changed() -> None:
    ledger, registrations = await meshed()
    await registrations.refresh()
    ledger.books.accounts["link/a/b"].held = 1
    assert await registrations.refresh() == {"a"}


async def test_a_refusal_is_kept_and_forgotten_at_the_resync() -> None:
    _, registrations = await meshed()
    await registrations.register_link(line("a", "z", 1))
    [refusal] = registrations.refusals("a")
    assert refusal.code is Code.UNKNOWN_NODE
    registrations.forget_refusals()
    assert registrations.refusals("a") == ()


async def test_a_success_takes_the_refusal_back() -> None:
    _, registrations = await meshed()
    await registrations.register_link(line("a", "z", 1))
    await registrations.register_node(node("z"))
    await registrations.register_link(line("a", "z", 1))
    assert registrations.refusals("a") == ()


async def test_an_old_generation_is_raised_to_be_tried_with_a_newer_one() -> None:
    _, registrations = await meshed()
    await registrations.register_node(node("b", generation=5))
    with pytest.raises(Conflict):
        await registrations.register_node(node("b", generation=4))
    assert registrations.refusals("b") == ()


async def test_a_disabled_node_is_no_peer_any_more() -> None:
    _, registrations = await meshed()
    await registrations.disable("b")
    assert registrations.enabled() == {"a"}


async def test_it_tells_when_the_ledger_comes_and_goes() -> None:
    """One question for all nodes; while the ledger is away nobody else asks it anything."""
    ledger = PaperLedger()
    moods: list[bool] = []
    changes: list[frozenset[str]] = []
    is_away = [True]
    asked = count()
    asked_often = asyncio.Event()

    async def call(method: str, request: object) -> Any:
        if next(asked) == 3:
            asked_often.set()
        if is_away[0]:
            raise Unavailable(Code.LEDGER_UNAVAILABLE, "away")
        return await ledger.call(method, request)

    registrations = Registrations(call, ask_again_s=0.01)
    following = asyncio.create_task(
        registrations.follow(0.01, changes.append, lambda: moods.append(registrations.answers))
    )
    await asyncio.wait_for(asked_often.wait(), 5)
    assert moods == []
    assert "away" in registrations.problem
    is_away[0] = False
    await until(lambda: moods == [True], 20, "it is back")
    is_away[0] = True
    await until(lambda: moods == [True, False], 20, "it is gone again")
    assert not following.done()
    following.cancel()


async def test_an_unavailable_ledger_is_raised_not_remembered() -> None:
    async def call(method: str, request: object) -> Any:
        raise Unavailable(Code.LEDGER_UNAVAILABLE, "away", effect_unknown=True)

    registrations = Registrations(call)
    with pytest.raises(PlmError):
        await registrations.register_node(node("a"))
    assert registrations.refusals("a") == ()


async def test_an_answer_that_was_under_way_does_not_undo_what_was_written_meanwhile() -> None:
    """Else every node that registers while fifty are listed would be registered again, and seem to be unknown."""
    ledger = PaperLedger()
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def call(method: str, request: object) -> Any:
        reply = await ledger.call(method, request)
        if method == "ListNodes":
            asked.set()
            await may_answer.wait()
        return reply

    registrations = Registrations(call)
    refreshing = asyncio.create_task(registrations.refresh())
    await asked.wait()
    await registrations.register_node(node("a"))
    may_answer.set()
    assert await refreshing == frozenset()
    assert registrations.enabled() == {"a"}


async def test_a_resync_in_the_middle_of_a_call_spoils_nothing() -> None:
    ledger = PaperLedger()

    async def call(method: str, request: object) -> Any:
        registrations.forget_refusals()
        return await ledger.call(method, request)

    registrations = Registrations(call)
    await registrations.register_link(line("a", "z", 1))
    await registrations.register_node(node("a"))
    assert registrations.node("a") is not None
