"""Payments while calls are lost or come late, nodes and gateways die at any await: nothing is paid twice or stranded.

Hypothesis draws what becomes of each call in turn, and when the gateway dies. All of it is in virtual time.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from plm.domain import settling
from plm.domain.chain import EntryKind, Verifier
from plm.domain.errors import PlmError
from plm.domain.payments import AttemptState, Hold, HoldState, Payment, PaymentState
from plm.gateway import engine
from plm.node import engine as node_engine
from support import virtual_time
from support.demo_mesh import payment_order
from support.paper_books import Fault
from support.paper_gateway import payments_over
from support.paper_mesh import PaperMesh

SETTLE_S = 60
STEPS_MAX = 60
# What happens at a call: how it ends, which node dies at that moment, and how long it takes.
faults = st.sampled_from([Fault.NONE] * 6 + [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.LATE])
victims = st.sampled_from([""] * 12 + ["a", "b", "c", "d"])
delays_s = st.sampled_from([0.0] * 8 + [0.01, 0.3, 1.2, 6.0])


@dataclass
class Storm:
    """Takes one drawn step per call, then the sun shines. Dead nodes come back after a while, as pods do."""

    mesh: PaperMesh
    steps: list[tuple[Fault, str, float]]
    is_over: bool = False

    async def __call__(self, caller: str, method: str) -> Fault:
        if self.is_over or not self.steps or method == "snapshot":
            return Fault.NONE
        fault, victim, delay_s = self.steps.pop(0)
        if victim and self.mesh.nodes[victim].is_alive:
            self.mesh.nodes[victim].kill()
            asyncio.get_running_loop().call_later(1.0, self.mesh.add_node, victim)
        await asyncio.sleep(delay_s)
        return fault


def check_books(mesh: PaperMesh, payment: Payment) -> None:
    """Once and whole, or not yet; and the chain tells the same story as the accounts."""
    posted = [each for each in payment.attempts if each.state is AttemptState.POSTED]
    assert len(posted) == (1 if payment.state is PaymentState.SETTLED else 0)
    for attempt in payment.attempts:
        expected = HoldState.POSTED if attempt in posted else HoldState.VOIDED
        assert {hold.state for hold in attempt.holds} <= {expected}
        assert attempt not in posted or len(attempt.holds) == len(attempt.hops)
    accounts = mesh.ledger.books.accounts
    received = accounts["link/d/b"].posted + accounts["link/d/c"].posted
    assert received == (payment.order.amount if posted else 0)
    assert {account.held for account in accounts.values()} == {0}, "money is stranded"
    assert sum(account.posted for account in accounts.values() if account.currency == "USD") == 0
    verifier = Verifier()
    for entry in mesh.ledger.chain:
        verifier.feed(entry)
    verifier.check_balances({each.account_id: (each.posted, each.held) for each in accounts.values()})  # fmt: skip
    assert verifier.findings == {}


async def ask(mesh: PaperMesh, dies_after_s: float | None) -> Payment | PlmError | None:
    """What a client hears from a gateway of its own; nothing when that dies first."""
    payments, _ = await payments_over(mesh)
    try:
        async with asyncio.timeout(dies_after_s):
            return await payments.pay(payment_order("p"))
    except TimeoutError:
        for task in payments._running.values():
            task.cancel()
        return None
    except PlmError as error:
        return error


async def a_payment_in_a_storm(
    steps: list[tuple[Fault, str, float]], lives_s: list[float | None]
) -> None:
    mesh = PaperMesh()
    storm = Storm(mesh, steps)
    mesh.ledger.weather = mesh.weather = storm
    heard = [await ask(mesh, dies_after_s) for dies_after_s in lives_s]
    storm.is_over = True
    # Nobody asks any more: deadlines alone must give every hold back.
    await asyncio.sleep(SETTLE_S)
    mesh.ledger.expire()
    if "p" in mesh.ledger.books.payments:
        check_books(mesh, mesh.ledger.payment("p"))
    answer = await ask(mesh, None)
    assert isinstance(answer, Payment), answer
    assert answer == mesh.ledger.payment("p")
    assert answer.state is PaymentState.SETTLED, "what was lost is no reason to refuse for good"
    check_books(mesh, answer)
    for earlier in heard:
        if isinstance(earlier, Payment):
            assert earlier == answer, "an answer that was given stands for ever"
    assert await ask(mesh, None) == answer
    event(f"settled at attempt {min(len(answer.attempts), 4)}")


@settings(max_examples=300)
@given(
    st.lists(st.tuples(faults, victims, delays_s), max_size=STEPS_MAX),
    st.lists(st.none() | st.sampled_from([0.005, 0.2, 1.0, 4.0]), min_size=1, max_size=3),
)
def test_whatever_is_lost_or_dies_a_payment_is_made_once(
    steps: list[tuple[Fault, str, float]], lives_s: list[float | None]
) -> None:
    virtual_time.run(a_payment_in_a_storm(steps, lives_s), engine, node_engine)


def test_the_check_finds_what_is_paid_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tombstones a late commit and the next attempt both move the money: the check must say so."""
    monkeypatch.setattr(settling, "_check_open", lambda *_: None)
    monkeypatch.setattr(settling, "_end_holds", _keeps_what_it_voids(settling._end_holds))

    async def story() -> None:
        mesh = PaperMesh()
        late = iter([Fault.LATE])

        async def weather(_caller: str, method: str) -> Fault:
            return next(late, Fault.NONE) if method == "post_attempt" else Fault.NONE

        mesh.ledger.weather = weather
        assert isinstance(await ask(mesh, None), Payment)
        await asyncio.sleep(1)
        with pytest.raises(AssertionError):
            check_books(mesh, mesh.ledger.payment("p"))

    virtual_time.run(story(), engine, node_engine)


def _keeps_what_it_voids(end_holds: Callable[..., tuple[Hold, ...]]) -> Callable[..., object]:
    def lawless(*arguments: Any) -> tuple[Hold, ...]:
        _, attempt, kind, *_ = arguments
        return attempt.holds if kind is EntryKind.VOID else end_holds(*arguments)

    return lawless
