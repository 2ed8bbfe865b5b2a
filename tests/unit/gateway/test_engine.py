"""One payment over a mesh that fails it in every way: whom to leave out, when to wait, and whose word counts."""

import asyncio
from collections.abc import Coroutine, Iterable
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from plm.domain.deciding import Command
from plm.domain.errors import Code, Unavailable
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.orders import DisableOrder, LinkOrder, NodeOrder, PaymentOrder
from plm.domain.payments import AttemptState, Payment, PaymentState
from plm.gateway import engine
from plm.node import engine as node_engine
from support import demo_mesh, virtual_time
from support.demo_mesh import BODY, payment_order
from support.paper_books import CALL_S, Fault, losing
from support.paper_gateway import pay_over, payments_over, states
from support.paper_mesh import GATEWAY, PaperMesh

_T = TypeVar("_T")


def run(story: Coroutine[Any, Any, _T]) -> _T:
    return virtual_time.run(story, engine, node_engine)


def mesh_of(*routes: str) -> Iterable[Command]:
    """Founding commands of a mesh with these routes, all links alike."""
    links = sorted({pair for route in routes for pair in pairwise(route)})
    nodes = sorted({node for route in routes for node in route})
    for node in nodes:
        outgoing = tuple(to_node for from_node, to_node in links if from_node == node)
        yield NodeOrder(node, "hub", "USD", Registration(node, 1), outgoing)
    for from_node, to_node in links:
        yield LinkOrder(from_node, to_node, LinkPolicy(1), 10**6, Registration(from_node, 1))


def test_a_node_that_is_cut_off_from_the_ledger_is_routed_around() -> None:
    """It answers its peers as well as ever: only it can know that it is of no use."""
    mesh = PaperMesh()
    mesh.ledger.weather = losing(lambda caller, _: caller == "b")
    payment = run(pay_over(mesh))
    assert states(payment) == [("abd", AttemptState.CLOSED), ("acd", AttemptState.POSTED)]
    assert payment.attempts[0].failed_node == "b"


def test_a_receiver_that_one_node_cannot_reach_is_reached_over_another() -> None:
    """The way to it is broken, or the word of who says so; it may be well itself."""
    mesh = PaperMesh()
    mesh.weather = losing(lambda caller, method: (caller, method) == ("b", "forward to d"))
    payment = run(pay_over(mesh))
    assert states(payment) == [("abd", AttemptState.CLOSED), ("acd", AttemptState.POSTED)]
    assert payment.attempts[0].failed_node == "d"


def test_a_node_that_one_other_cannot_reach_is_not_left_out_where_all_ways_lead_over_it() -> None:
    dear = LinkOrder("a", "c", LinkPolicy(9), 10**6, Registration("a", 2))
    mesh = PaperMesh([*mesh_of("abcd", "acd"), dear])
    mesh.weather = losing(lambda caller, method: (caller, method) == ("b", "forward to c"))
    payment = run(pay_over(mesh))
    assert states(payment) == [("abcd", AttemptState.CLOSED), ("acd", AttemptState.POSTED)]


def test_a_receiver_that_nobody_reaches_is_not_asked_for_over_every_link_of_it() -> None:
    """Two have said so: each further attempt would be one of the few that a payment has. It is told at once."""
    mesh = PaperMesh(mesh_of("abe", "ace", "ade"))
    mesh.nodes["e"].kill()
    order = PaymentOrder("p", "client", BODY, "a", "e", 10, "USD")

    async def passed_ms() -> int:
        with pytest.raises(Unavailable, match="e takes no part now: connection refused"):
            await pay_over(mesh, order)
        return virtual_time.now_ms()

    assert run(passed_ms()) < 100
    assert len(mesh.ledger.payment("p").attempts) == 2


def test_a_sender_that_is_cut_off_for_a_second_is_waited_for() -> None:
    """As after a restart of the ledger: the gateway's connection is back before the node's."""
    mesh = PaperMesh()
    mesh.ledger.weather = losing(
        lambda caller, _: caller != GATEWAY and virtual_time.now_ms() < 1_000
    )
    payment = run(pay_over(mesh))
    assert payment.state is PaymentState.SETTLED
    assert len(payment.attempts) <= 5, "a payment has 32 attempts: they must outlast an outage"


def test_an_outage_never_becomes_a_refusal() -> None:
    """However long a sender is cut off within a payment's time, and its client asks again, nothing is decided."""
    mesh = PaperMesh()
    mesh.ledger.weather = losing(lambda caller, _: caller == "a")

    async def story() -> tuple[list[Code], int]:
        codes = []
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                await pay_over(mesh)
            codes.append(caught.value.code)
        return codes, len(mesh.ledger.payment("p").attempts)

    codes, attempts = run(story())
    assert set(codes) == {Code.DEADLINE_EXCEEDED}
    assert attempts < 32
    assert mesh.ledger.payment("p").state is PaymentState.OPEN


@pytest.mark.parametrize("length", [2, 3, 5, 8])
@pytest.mark.parametrize("place", [1, -2])
def test_the_silent_node_is_named_and_not_who_waits_for_it(length: int, place: int) -> None:
    """On a long route all times are as long as the attempt's: the nearest must give up first."""
    route = "abcdefghij"[:length] + "z"
    detour = "a" + "mnopqrstu"[: length + 1] + "z"
    mesh = PaperMesh(mesh_of(route, detour))
    silent = route[place]

    async def weather(_caller: str, method: str) -> Fault:
        if method == f"forward to {silent}":
            await asyncio.sleep(3600)
        return Fault.NONE

    mesh.weather = weather
    payment = run(pay_over(mesh, PaymentOrder("p", "client", BODY, "a", "z", 1000, "USD")))
    assert states(payment) == [(route, AttemptState.CLOSED), (detour, AttemptState.POSTED)]
    assert payment.attempts[0].failed_node == silent


def test_a_node_that_the_ledger_knows_and_the_gateway_does_not_yet_is_looked_for() -> None:
    """A refusal would be final; the mesh in memory is only a little behind."""

    async def story() -> Payment:
        mesh = PaperMesh(mesh_of("ab"))
        payments, _ = await payments_over(mesh)
        for command in mesh_of("ab", "bc"):
            mesh.ledger.decide(command)
        mesh.add_node("c")
        return await payments.pay(PaymentOrder("p", "client", BODY, "a", "c", 10, "USD"))

    assert states(run(story()))[-1] == ("abc", AttemptState.POSTED)


def test_a_receiver_that_was_disabled_meanwhile_is_no_route_and_no_refusal() -> None:
    async def story() -> None:
        mesh = PaperMesh()
        payments, graph = await payments_over(mesh)
        mesh.ledger.decide(payment_order("p"))
        mesh.ledger.decide(DisableOrder("d"))
        await graph.refresh()
        await payments.pay(payment_order("p"))

    with pytest.raises(Unavailable) as caught:
        run(story())
    assert (caught.value.code, caught.value.effect_unknown) == (Code.NO_ROUTE, False)


def test_a_fee_that_changed_under_the_quote_is_quoted_anew() -> None:
    async def story() -> Payment:
        mesh = PaperMesh()
        payments, _ = await payments_over(mesh)
        mesh.ledger.decide(
            LinkOrder("b", "d", LinkPolicy(250), demo_mesh.VOLUME, Registration("uid-b", 2))
        )
        return await payments.pay(payment_order("p"))

    payment = run(story())
    assert states(payment) == [("abd", AttemptState.POSTED)]
    assert payment.attempts[0].hops[0].amount == 1250


def test_a_fee_that_rises_under_way_is_not_earned_and_costs_a_detour() -> None:
    """B's link was quoted for less: A has its hold already, and B takes none."""
    mesh = PaperMesh()
    raised = LinkOrder("b", "d", LinkPolicy(250), demo_mesh.VOLUME, Registration("uid-b", 2))

    async def pass_by(node_id: str) -> None:
        if node_id == "a" and mesh.ledger.books.links["b", "d"].policy != raised.policy:
            mesh.ledger.decide(raised)

    mesh.pass_by = pass_by
    payment = run(pay_over(mesh))
    assert states(payment) == [("abd", AttemptState.CLOSED), ("acd", AttemptState.POSTED)]
    assert mesh.ledger.account("link/d/b").posted == 0


def test_a_link_that_the_ledger_does_not_take_as_it_stands_is_left_out() -> None:
    """Its far account is closed, which no snapshot shows: quoted anew it would be the same route for ever."""

    async def story() -> tuple[Payment, list[str]]:
        mesh = PaperMesh()
        mesh.ledger.books.accounts["link/d/b"].closed = True
        return await pay_over(mesh), mesh.ledger.calls

    payment, calls = run(story())
    assert states(payment) == [("acd", AttemptState.POSTED)]
    assert calls.count("begin_attempt") == 2


def test_a_client_that_goes_away_does_not_stop_its_payment() -> None:
    async def story() -> Payment:
        mesh = PaperMesh()
        mesh.ledger.weather = losing(lambda *_: False)
        payments, _ = await payments_over(mesh)
        asked = asyncio.create_task(payments.pay(payment_order("p")))
        await asyncio.sleep(2 * CALL_S)
        asked.cancel()
        await asyncio.sleep(1)
        return mesh.ledger.payment("p")

    assert run(story()).state is PaymentState.SETTLED


def test_an_answer_comes_within_a_payments_time() -> None:
    """Fifteen seconds and one last call, whatever the ledger does; and it says that nobody knows."""

    async def story() -> tuple[Unavailable, int]:
        mesh = PaperMesh()
        payments, _ = await payments_over(mesh)
        mesh.ledger.weather = losing(lambda _, method: method != "begin_payment")
        with pytest.raises(Unavailable) as caught:
            await payments.pay(payment_order("p"))
        return caught.value, virtual_time.now_ms()

    error, answered_ms = run(story())
    assert (error.code, error.effect_unknown) == (Code.LEDGER_UNAVAILABLE, True)
    assert answered_ms <= engine.PAYMENT_TIMEOUT_MS


def test_the_limit_counts_payments_not_requests() -> None:
    async def story() -> list[Any]:
        mesh = PaperMesh()
        mesh.ledger.weather = losing(lambda *_: False)
        payments, _ = await payments_over(mesh, in_flight_max=1)
        same = [payments.pay(payment_order("p")) for _ in range(3)]
        other = payments.pay(payment_order("q"))
        first = await asyncio.gather(*same, other, return_exceptions=True)
        return [*first, await payments.pay(payment_order("q"))]

    *settled, refused, later = run(story())
    assert settled[0] == settled[1] == settled[2]
    assert isinstance(refused, Unavailable)
    assert (refused.code, refused.effect_unknown) == (Code.OVERLOADED, False)
    assert refused.retry_after_ms is not None
    assert later.state is PaymentState.SETTLED
