"""Nodes that say anything at all: their words reach the ledger in a form that it keeps, and end no payment."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from plm.domain.errors import Code, Conflict, PlmError, Refused, Unavailable
from plm.domain.payments import AttemptState, PaymentState
from plm.domain.relay import ForwardTask, Outcome
from plm.gateway import engine
from plm.node import engine as node_engine
from support import virtual_time
from support.demo_mesh import payment_order
from support.paper_books import Fault, as_it_arrives
from support.paper_gateway import pay_over, payments_over, states
from support.paper_mesh import GATEWAY, PaperMesh, PaperPeers

_T = TypeVar("_T")
Saying = Callable[[ForwardTask], Outcome]


def run(story: Coroutine[Any, Any, _T]) -> _T:
    return virtual_time.run(story, engine, node_engine)


def failing(detail: str = "why", node: str = "b", link: tuple[str, str] = ("", "")) -> Saying:
    return lambda _: Outcome(
        error_code=Code.NODE_UNREACHABLE,
        error_detail=detail,
        failed_node=node,
        failed_link=link,
    )


WORDS: dict[str, Saying] = {
    "a NUL": failing("a\0b"),
    "a NUL in a name": failing(node="b\0"),
    "a name that is too long": failing(node="b" * 300),
    "a node that is not on the route": failing(node="c"),
    "the receiver": failing(node="d"),
    "a link that is none": failing(node="", link=("a\0", "b" * 300)),
    "a long story": failing("x" * 2_000_000),
    "a code that is too long": lambda _: Outcome(error_code="x\0" * 300, error_detail="why"),
    "other characters": failing("ü€😀\r\n\x1b[31m"),
    "that it is closed": lambda _: Outcome(error_code=Code.ATTEMPT_CLOSED, error_detail="why"),
    "that it is posted": lambda _: Outcome(error_code=Code.ATTEMPT_POSTED, error_detail="why"),
}
CONFIRMATIONS: dict[str, Saying] = {
    "no holds": lambda _: Outcome(),
    "holds of nobody": lambda _: Outcome(hold_ids=("p/1/7",)),
    "holds by the thousand": lambda task: Outcome(hold_ids=task.holds_behind * 1000),
    "holds that it did not take": lambda task: Outcome((f"p/{task.attempt}/{task.position}",)),
}


def says(mesh: PaperMesh, node_id: str, saying: Saying, *, after: bool = False) -> None:
    """Let a node say this, instead of its part or after it."""
    node = mesh.nodes[node_id]
    honest = node.forward

    async def forward(task: ForwardTask, caller: str) -> Outcome:
        if after:
            await honest(task, caller)
        return saying(task)

    node.forward = forward  # type: ignore[method-assign] # the process was taken over


@pytest.mark.parametrize("words", list(WORDS | CONFIRMATIONS))
def test_a_hostile_node_on_the_way_is_routed_around(words: str) -> None:
    mesh = PaperMesh()
    says(mesh, "b", (WORDS | CONFIRMATIONS)[words])
    payment = run(pay_over(mesh))
    assert payment.state is PaymentState.SETTLED
    assert states(payment)[-1] == ("acd", AttemptState.POSTED)
    assert {state for _, state in states(payment)[:-1]} == {AttemptState.CLOSED}


@pytest.mark.parametrize("words", list(WORDS))
def test_a_first_node_that_posts_and_then_says_anything_has_paid(words: str) -> None:
    """The money has moved: no answer may say that it has not."""
    mesh = PaperMesh()
    says(mesh, "a", WORDS[words], after=True)
    payment = run(pay_over(mesh))
    assert states(payment) == [("abd", AttemptState.POSTED)]


def test_a_receipt_names_nobody_who_had_no_part() -> None:
    mesh = PaperMesh()
    says(mesh, "a", failing("x\0y", node="c"))
    with pytest.raises(Unavailable):
        run(pay_over(mesh))
    first = mesh.ledger.payment("p").attempts[0]
    assert (first.close_reason, first.failed_node) == ("xy", "")


def test_a_status_of_a_node_is_cleaned_as_its_reply_is() -> None:
    """A refusal of gRPC's carries any text too."""
    mesh = PaperMesh()

    class Peers(PaperPeers):
        async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome:
            raise as_it_arrives(Unavailable(Code.NODE_UNREACHABLE, "x\0" * 5_000))

    async def story() -> None:
        payments, _ = await payments_over(mesh, Peers(mesh, GATEWAY))
        await payments.pay(payment_order("p"))

    with pytest.raises(Unavailable) as caught:
        run(story())
    assert caught.value.code is Code.NODE_UNREACHABLE
    assert mesh.ledger.payment("p").attempts[0].close_reason.startswith("xx")


@pytest.mark.parametrize("method", ["close_attempt", "get_payment", "refuse_payment"])
@pytest.mark.parametrize(
    "error",
    [
        Refused(Code.INVALID_REQUEST, "what it says has no form"),
        Refused(Code.FORBIDDEN, "the gateway may not call this"),
        Refused(Code.UNKNOWN_PAYMENT, "no such payment"),
        Conflict(Code.PAYMENT_ENDED, "it has ended"),
    ],
)
def test_once_an_attempt_was_begun_no_refusal_is_an_answer(method: str, error: PlmError) -> None:
    """What the ledger will not close, or tell of, may have been posted."""

    async def story() -> Unavailable:
        mesh = PaperMesh()
        says(mesh, "a", failing(), after=True)

        async def weather(_caller: str, asked: str) -> Fault:
            if asked == method:
                raise error
            if asked == "begin_attempt" and method == "refuse_payment":
                raise Refused(Code.INVALID_REQUEST, "no route of mine")
            return Fault.NONE

        mesh.ledger.weather = weather
        payments, _ = await payments_over(mesh)
        with pytest.raises(Unavailable) as caught:
            await payments.pay(payment_order("p"))
        return caught.value

    heard = run(story())
    assert (heard.code, heard.effect_unknown) == (Code.INTERNAL, True)


@pytest.mark.parametrize("code", [Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.NOT_OWNER])
@pytest.mark.parametrize("method", ["begin_payment", "begin_attempt"])
def test_a_gateway_that_the_ledger_does_not_let_in_refuses_no_payment(
    method: str, code: Code
) -> None:
    """Its certificate is at fault and not its client; another gateway may be paying just now."""

    async def story() -> Unavailable:
        mesh = PaperMesh()

        async def weather(_caller: str, asked: str) -> Fault:
            if asked == method:
                raise Refused(code, "not you")
            return Fault.NONE

        mesh.ledger.weather = weather
        payments, _ = await payments_over(mesh)
        with pytest.raises(Unavailable) as caught:
            await payments.pay(payment_order("p"))
        assert mesh.ledger.books.payments.keys() <= {"p"}
        assert all(each.state is PaymentState.OPEN for each in mesh.ledger.books.payments.values())
        return caught.value

    heard = run(story())
    assert (heard.code, heard.effect_unknown) == (Code.INTERNAL, True)
