"""What uses up a payment's attempts, and what does not: few as they are, no node's lies may end a payment with them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from plm.domain.deciding import Command
from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.orders import CloseOrder, DisableOrder, LinkOrder, NodeOrder, PaymentOrder
from plm.domain.payments import Payment, PaymentState
from plm.domain.relay import ForwardTask, Outcome
from plm.gateway import engine
from plm.node import engine as node_engine
from support import demo_mesh, virtual_time
from support.demo_mesh import payment_order
from support.paper_books import Fault
from support.paper_gateway import pay_over, payments_over
from support.paper_mesh import PaperMesh

_T = TypeVar("_T")
MINUTE_S = 60


def run(story: Coroutine[Any, Any, _T]) -> _T:
    return virtual_time.run(story, engine, node_engine)


class Liar:
    """A first node that does nothing and says what it likes."""

    def __init__(self, saying: Callable[[ForwardTask], Outcome]) -> None:
        self._saying = saying

    async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome:
        return self._saying(task)


LIES: dict[str, Callable[[ForwardTask], Outcome]] = {
    "it is paid": lambda _: Outcome(posted=True),
    "somebody else failed, never the same": lambda task: Outcome(
        closed=True, error_code=Code.NODE_UNREACHABLE, failed_node=f"n{task.attempt}"
    ),
    "a link failed, never the same": lambda task: Outcome(
        closed=True, error_code=Code.POLICY_CHANGED, failed_link=("a", f"n{task.attempt}")
    ),
    "the next node failed": lambda task: Outcome(
        error_code=Code.NODE_UNREACHABLE, failed_node=task.stops[1]
    ),
    "nothing": lambda _: Outcome(),
} | {
    f"it can never be: {code}": lambda _, code=code: Outcome(closed=True, error_code=code)
    for code in Code
}


@pytest.mark.parametrize("lie", list(LIES))
def test_no_nodes_word_ends_a_payment(lie: str) -> None:
    """However often its client asks again within a minute: the ledger alone ends a payment."""

    async def story() -> Payment:
        mesh = PaperMesh()
        payments, _ = await payments_over(mesh, Liar(LIES[lie]))
        while virtual_time.now_ms() < 1000 * MINUTE_S:
            with pytest.raises(Unavailable):
                await payments.pay(payment_order("p"))
            await asyncio.sleep(1)
        assert (await pay_over(mesh)).state is PaymentState.SETTLED, "an honest one ends it"
        return mesh.ledger.payment("p")

    assert len(run(story()).attempts) < 32


def test_a_node_s_words_make_no_series_of_their_own() -> None:
    """A metric keeps each label for ever: who invents codes would fill the gateway's memory."""

    def lie(task: ForwardTask) -> Outcome:
        return Outcome(error_code=f"made up {task.attempt}", failed_node="a")

    async def story() -> None:
        payments, _ = await payments_over(PaperMesh(), Liar(lie))
        with pytest.raises(Unavailable):
            await payments.pay(payment_order("p"))

    run(story())
    [metric] = engine.ATTEMPTS.collect()
    labels = {sample.labels["outcome"] for sample in metric.samples}
    assert "other" in labels
    assert labels <= {"posted", "other", *Code}


@pytest.mark.parametrize("end", ["a", "d"])
def test_a_sender_or_receiver_that_is_dead_for_a_minute_wears_no_payment_out(end: str) -> None:
    async def story() -> Payment:
        mesh = PaperMesh()
        mesh.nodes[end].kill()
        while virtual_time.now_ms() < 1000 * MINUTE_S:
            with pytest.raises(Unavailable):
                await pay_over(mesh)
            await asyncio.sleep(1)
        mesh.add_node(end)
        return await pay_over(mesh)

    assert run(story()).state is PaymentState.SETTLED


def test_as_many_bad_nodes_as_a_payment_has_attempts_do_not_use_them_up_at_once() -> None:
    """Each is news, so the next way is taken without a pause; but not thirty times in a row."""
    links = [link for number in range(40) for link in (("a", f"n{number}"), (f"n{number}", "d"))]
    founding: list[Command] = [
        *(NodeOrder(node, "hub", "USD", Registration(node, 1), ()) for node in {*sum(links, ())}),
        *(LinkOrder(*link, LinkPolicy(1), 10**6, Registration(link[0], 1)) for link in links),
    ]

    async def story() -> Payment:
        mesh = PaperMesh(founding)
        payments, _ = await payments_over(mesh, Liar(LIES["the next node failed"]))
        with pytest.raises(Unavailable):
            await payments.pay(payment_order("p"))
        assert virtual_time.now_ms() > 1000 * 10
        return mesh.ledger.payment("p")

    assert 8 <= len(run(story()).attempts) < 16


def test_time_that_runs_out_while_a_route_is_looked_for_refuses_nothing() -> None:
    """An attempt without time is an invalid request: the ledger must not be asked for one."""
    slow_s = {"begin_payment": 14, "snapshot": 2}

    async def story() -> PaperMesh:
        mesh = PaperMesh()
        payments, graph = await payments_over(mesh)
        mesh.ledger.decide(DisableOrder("b"))
        await graph.refresh()
        mesh.ledger.decide(demo_mesh.node_order("b", 2))  # which the gateway has not heard of yet

        async def weather(_caller: str, method: str) -> Fault:
            await asyncio.sleep(slow_s.get(method, 0))
            return Fault.NONE

        mesh.ledger.weather = weather
        with pytest.raises(Unavailable) as caught:
            await payments.pay(PaymentOrder("p", "client", demo_mesh.BODY, "a", "b", 10, "USD"))
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        return mesh

    mesh = run(story())
    assert mesh.ledger.payment("p").state is PaymentState.OPEN
    assert "begin_attempt" not in mesh.ledger.calls


def test_a_payment_whose_attempts_are_used_up_says_so_for_good() -> None:
    """It can never settle: another key starts anew, and nothing has moved."""

    async def story() -> tuple[Payment, Payment | PlmError]:
        mesh = PaperMesh()
        mesh.ledger.decide(payment_order("p"))
        for number in range(1, 33):
            mesh.ledger.decide(demo_mesh.attempt_order("p", number))
            mesh.ledger.decide(CloseOrder("p", number, "in vain"))
        return await pay_over(mesh), await pay_over(mesh)

    first, again = run(story())
    assert (first.state, first.refusal_code) == (PaymentState.REFUSED, Code.ATTEMPTS_EXHAUSTED)
    assert first == again
