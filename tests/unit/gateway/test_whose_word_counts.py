"""Gateways that die, race, or hear lies: what the ledger says is so, and nothing that anybody else says."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from plm.domain.errors import Code, Conflict, Unavailable
from plm.domain.payments import AttemptState, Payment, PaymentState
from plm.domain.relay import ForwardTask, Outcome
from plm.gateway import engine
from plm.node import engine as node_engine
from support import demo_mesh, virtual_time
from support.demo_mesh import payment_order
from support.paper_books import Fault, losing
from support.paper_gateway import pay_over, payments_over, states
from support.paper_mesh import PaperMesh

_T = TypeVar("_T")


def run(story: Coroutine[Any, Any, _T]) -> _T:
    return virtual_time.run(story, engine, node_engine)


@pytest.mark.parametrize("ticks", [True, False])
def test_what_a_dead_gateway_left_open_ends_with_its_deadline_and_the_payment_goes_on(
    ticks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger closes it then; where that does not, whoever waits for it does."""
    mesh = PaperMesh()
    if not ticks:
        monkeypatch.setattr(mesh.ledger, "expire", lambda: None)

    async def story() -> tuple[Payment, int]:
        for command in demo_mesh.whole_payment("p")[:3]:  # one of two holds is taken
            mesh.ledger.decide(command)
        await asyncio.sleep(3)
        return await pay_over(mesh), virtual_time.now_ms()

    payment, settled_ms = run(story())
    assert states(payment) == [("abd", AttemptState.CLOSED), ("abd", AttemptState.POSTED)]
    assert mesh.ledger.account("link/a/b").held == 0
    assert 5_000 < settled_ms < (6_000 if ticks else 9_000)


@pytest.mark.parametrize("slow_s", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("late_s", [0.0, 0.05, 0.3, 1.1, 3.5])
def test_a_second_gateway_leaves_the_attempt_of_the_first_alone(
    slow_s: float, late_s: float
) -> None:
    """Its client asked again because it takes long, not because it has failed: closed, it would take longer still."""

    async def story() -> tuple[PaperMesh, list[Payment]]:
        mesh = PaperMesh()
        mesh.ledger.weather = mesh.weather = losing(lambda *_: False)

        async def pass_by(node_id: str) -> None:
            if node_id == "a":
                await asyncio.sleep(slow_s)

        mesh.pass_by = pass_by

        async def ask(number: int) -> Payment:
            payments, _ = await payments_over(mesh)
            await asyncio.sleep(number * late_s)
            return await payments.pay(payment_order("p"))

        return mesh, await asyncio.gather(*(ask(number) for number in range(3)))

    mesh, answers = run(story())
    payment = mesh.ledger.payment("p")
    assert states(payment) == [("abd", AttemptState.POSTED)]
    assert answers == [payment] * 3
    assert mesh.ledger.account("link/d/b").posted == 1000


def test_an_attempt_that_two_share_may_be_closed_by_either_and_the_payment_is_made_once() -> None:
    """Both hold it for their own: the one whose node is too busy closes what the other is just paying with."""

    class Busy:
        async def forward(self, _node_id: str, _task: ForwardTask, _timeout_s: float) -> Outcome:
            await asyncio.sleep(0.2)
            raise Unavailable(Code.OVERLOADED, "the node's queue is full", retry_after_ms=100)

    async def story() -> tuple[PaperMesh, Payment]:
        mesh = PaperMesh()
        mesh.ledger.weather = mesh.weather = losing(lambda *_: False)

        async def pass_by(node_id: str) -> None:
            if node_id == "a":
                await asyncio.sleep(0.5)

        mesh.pass_by = pass_by
        (ours, _), (theirs, _) = await payments_over(mesh), await payments_over(mesh, Busy())
        order = payment_order("p")
        answer, _ = await asyncio.gather(ours.pay(order), theirs.pay(order), return_exceptions=True)
        assert isinstance(answer, Payment), answer
        return mesh, answer

    mesh, answer = run(story())
    assert mesh.ledger.payment("p") == answer
    assert states(answer) == [("abd", AttemptState.CLOSED), ("abd", AttemptState.POSTED)]
    assert mesh.ledger.account("link/d/b").posted == 1000


def test_what_is_still_in_other_hands_when_time_is_over_is_said_to_be() -> None:
    """It is no refusal, and not the end: the same key learns how it went."""

    async def story() -> Payment:
        mesh = PaperMesh()
        mesh.ledger.decide(payment_order("p"))
        mesh.ledger.decide(replace(demo_mesh.attempt_order("p"), timeout_ms=20_000))
        with pytest.raises(Conflict) as caught:
            await pay_over(mesh)
        assert caught.value.code is Code.PAYMENT_IN_PROGRESS
        assert virtual_time.now_ms() <= engine.PAYMENT_TIMEOUT_MS
        return await pay_over(mesh)

    assert states(run(story())) == [("abd", AttemptState.CLOSED), ("abd", AttemptState.POSTED)]


@pytest.mark.parametrize("lie", [Outcome(posted=True), Outcome(closed=True, error_code="no")])
def test_an_own_attempt_that_is_said_to_have_ended_and_has_not_is_closed_at_once(
    lie: Outcome,
) -> None:
    """Nobody else works on it: only an attempt of another gateway's is waited for."""

    async def story() -> Payment:
        mesh = PaperMesh()
        payments, _ = await payments_over(mesh, Liar(lie))
        with pytest.raises(Unavailable):
            await payments.pay(payment_order("p"))
        return mesh.ledger.payment("p")

    payment = run(story())
    assert len(payment.attempts) > 1
    assert payment.attempts[0].ended_at_ms < 100


def test_a_first_node_that_is_silent_is_named_where_its_attempt_is_closed() -> None:
    """Nobody but the gateway can close it then, and the receipt says why."""
    mesh = PaperMesh()
    mesh.nodes["a"].kill()
    with pytest.raises(Unavailable) as caught:
        run(pay_over(mesh))
    error = caught.value
    assert (error.code, error.effect_unknown) == (Code.NODE_UNREACHABLE, False)
    assert error.detail == "a takes no part now: connection refused"
    [attempt] = mesh.ledger.payment("p").attempts
    assert (attempt.state, attempt.failed_node) == (AttemptState.CLOSED, "a")
    assert attempt.close_reason == "connection refused"


def test_a_receiver_that_is_silent_is_named_and_not_a_want_of_room() -> None:
    mesh = PaperMesh()
    mesh.nodes["d"].kill()
    with pytest.raises(Unavailable, match="d takes no part now: connection refused") as caught:
        run(pay_over(mesh))
    assert caught.value.code == Code.NODE_UNREACHABLE


def test_a_first_node_that_is_overloaded_says_when_to_come_again() -> None:
    class Busy:
        async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome:
            raise Unavailable(Code.OVERLOADED, "the node's queue is full", retry_after_ms=4_000)

    async def story() -> None:
        payments, _ = await payments_over(PaperMesh(), Busy())
        await payments.pay(payment_order("p"))

    with pytest.raises(Unavailable) as caught:
        run(story())
    assert (caught.value.code, caught.value.retry_after_ms) == (Code.OVERLOADED, 4_000)
    assert "a takes no part now" in caught.value.detail


def test_two_gateways_with_the_same_payment_settle_it_once() -> None:
    async def story() -> tuple[PaperMesh, list[Payment | BaseException]]:
        mesh = PaperMesh()
        mesh.ledger.weather = mesh.weather = losing(lambda *_: False)
        gateways = [(await payments_over(mesh))[0] for _ in range(4)]
        asked = [gateway.pay(payment_order("p")) for gateway in gateways]
        return mesh, await asyncio.gather(*asked, return_exceptions=True)

    mesh, answers = run(story())
    payment = mesh.ledger.payment("p")
    assert payment.state is PaymentState.SETTLED
    assert mesh.ledger.account("link/d/b").posted + mesh.ledger.account("link/d/c").posted == 1000
    for answer in answers:
        assert answer == payment or isinstance(answer, Conflict)


class Liar:
    """A first node that does nothing and says what it likes."""

    def __init__(self, saying: Outcome) -> None:
        self._saying = saying

    async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome:
        return self._saying


@pytest.mark.parametrize(
    "lie",
    [
        Outcome(posted=True),
        Outcome(closed=True, error_code=Code.NODE_UNREACHABLE),
        Outcome(hold_ids=("h",)),
        Outcome(error_code="a code of tomorrow", failed_node="b"),
    ],
)
def test_no_nodes_word_settles_a_payment(lie: Outcome) -> None:
    """Only the ledger's does: what it has not posted stays unpaid, whoever says otherwise."""

    async def story() -> Payment:
        mesh = PaperMesh()
        payments, _ = await payments_over(mesh, Liar(lie))
        with pytest.raises(Unavailable):
            await payments.pay(payment_order("p"))
        return mesh.ledger.payment("p")

    payment = run(story())
    assert payment.state is PaymentState.OPEN
    assert payment.attempts
    assert all(attempt.state is AttemptState.CLOSED for attempt in payment.attempts)


def test_closing_is_repeated_until_the_ledger_has_said_which_it_is() -> None:
    """A late commit and a lost answer: the money moved, and the next attempt must not begin."""
    mesh = PaperMesh()
    lost = iter([Fault.LOST_ANSWER, Fault.LOST_REQUEST, Fault.LOST_ANSWER])

    async def weather(caller: str, method: str) -> Fault:
        ends = method in {"post_attempt", "close_attempt"}
        return next(lost, Fault.NONE) if ends else Fault.NONE

    mesh.ledger.weather = weather
    payment = run(pay_over(mesh))
    assert states(payment) == [("abd", AttemptState.POSTED)]
    assert mesh.ledger.calls.count("begin_attempt") == 1
