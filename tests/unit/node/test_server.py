"""The gRPC face of a node: who may ask what, and that no message, however made, does more than be refused."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain import ids
from plm.domain.errors import Code, PlmError
from plm.node.engine import Engine, Pool
from plm.node.hold_point import HoldPoint
from plm.node.server import KILLED_EXIT_CODE, NodeServer
from plm.wire import forwarding
from plm.wire import plm_pb2 as pb
from support.paper_mesh import GATEWAY, PaperMesh, PaperPeers

GATEWAY_NAME = ids.service_spiffe(GATEWAY)
DEBUG_CALLS: list[Callable[[NodeServer, Any], Awaitable[object]]] = [
    lambda server, context: server.ArmHoldPoint(pb.ArmHoldPointRequest(hold_ms_max=1), context),
    lambda server, context: server.GetHoldPoint(pb.GetHoldPointRequest(), context),
    lambda server, context: server.Exit(pb.ExitRequest(), context),
]


class Caller:
    """A call's context, with the names of the peer's certificate."""

    def __init__(self, *names: str) -> None:
        self._names = [name.encode() for name in names]

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_subject_alternative_name": self._names} if self._names else {}


def server(*, debug_enabled: bool = True, mesh: PaperMesh | None = None) -> NodeServer:
    """Node B."""
    mesh = mesh or PaperMesh()
    hold_point = HoldPoint()
    node = Engine(
        "b",
        mesh.ledger.as_seen_by("b"),
        PaperPeers(mesh, "b"),
        Pool(4, 4),
        hold_point.pass_by,
    )
    return NodeServer(node, hold_point, debug_enabled=debug_enabled)


def code_of(call: Callable[[], Awaitable[object]]) -> Code:
    async def wait() -> object:
        return await call()

    with pytest.raises(PlmError) as caught:
        asyncio.run(wait())
    return caught.value.code


@pytest.mark.parametrize("call", DEBUG_CALLS, ids=["arm", "look", "exit"])
@pytest.mark.parametrize(
    ("names", "code"),
    [
        ((), Code.UNAUTHENTICATED),
        (("node-b",), Code.UNAUTHENTICATED),
        ((ids.node_spiffe("a"),), Code.FORBIDDEN),
        ((ids.service_spiffe("operator"),), Code.FORBIDDEN),
        ((GATEWAY_NAME, ids.node_spiffe("a")), Code.UNAUTHENTICATED),
        (("spiffe://elsewhere/service/gateway",), Code.UNAUTHENTICATED),
    ],
)
def test_debug_is_for_the_gateway_alone(
    call: Callable[[NodeServer, Any], Awaitable[object]],
    names: tuple[str, ...],
    code: Code,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "_exit", lambda _code: pytest.fail("it left"))
    assert code_of(lambda: call(server(), Caller(*names))) is code


@pytest.mark.parametrize("call", DEBUG_CALLS, ids=["arm", "look", "exit"])
def test_debug_that_is_off_is_off_for_everybody(
    call: Callable[[NodeServer, Any], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "_exit", lambda _code: pytest.fail("it left"))
    off = server(debug_enabled=False)
    assert code_of(lambda: call(off, Caller(GATEWAY_NAME))) is Code.DEBUG_DISABLED


async def test_the_gateway_arms_looks_and_makes_it_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    node, gateway = server(), Caller(GATEWAY_NAME)
    assert (await node.GetHoldPoint(pb.GetHoldPointRequest(), gateway)).state == "idle"
    armed = await node.ArmHoldPoint(pb.ArmHoldPointRequest(hold_ms_max=5), gateway)
    assert (armed.state, armed.payment_id, armed.attempt) == ("armed", "", 0)
    await node.Exit(pb.ExitRequest(), gateway)
    assert left == [KILLED_EXIT_CODE]


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        (Caller(), Code.FORBIDDEN),
        (Caller(ids.node_spiffe("d")), Code.FORBIDDEN),
        (Caller(GATEWAY_NAME), Code.FORBIDDEN),
    ],
)
def test_a_payment_comes_from_the_node_before_and_from_nobody_else(
    caller: Caller, code: Code
) -> None:
    hops = [pb.Hop(from_node="a", to_node="b", amount="1"), pb.Hop(from_node="b", to_node="d", amount="1")]  # fmt: skip
    request = pb.ForwardRequest(payment_id="p", attempt=1, hops=hops, hop=1, budget_ms=1000)
    assert code_of(lambda: server().Forward(request, caller)) is code


names = st.sampled_from(["a", "b", "c", "d", "", "x" * 300])
hops = st.builds(
    pb.Hop,
    from_node=names,
    to_node=names,
    amount=st.sampled_from(["0", "1", "-1", "", "x", "9" * 41, "1.5", "٣"]),
)
requests = st.builds(
    pb.ForwardRequest,
    payment_id=st.text(st.characters(codec="utf-8"), max_size=5),
    attempt=st.integers(-(2**31), 2**31 - 1),
    currency=st.sampled_from(["USD", ""]),
    hops=st.lists(hops, max_size=4),
    hop=st.integers(-2, 5),
    budget_ms=st.integers(-(2**63), 2**63 - 1),
)


@given(requests, st.sampled_from([GATEWAY_NAME, ids.node_spiffe("a"), ids.node_spiffe("d")]))
def test_no_message_breaks_a_node_or_moves_money(request: pb.ForwardRequest, name: str) -> None:
    """It is refused with a code, or answered with why not: the ledger has no such attempt."""
    mesh = PaperMesh()
    before = len(mesh.ledger.chain)

    async def ask() -> pb.ForwardReply | None:
        try:
            return await server(mesh=mesh).Forward(request, Caller(name))
        except PlmError:
            return None

    reply = asyncio.run(ask())
    if reply is not None and request.hop < len(request.hops):
        assert not forwarding.outcome_from_wire(reply).is_confirmed
    assert len(mesh.ledger.chain) == before
