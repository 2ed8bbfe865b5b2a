"""The server around a service: health as it is told, an end that lets calls finish, and every call measured."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from plm.domain.errors import Code, Conflict, Unavailable
from plm.domain.mesh import LinkPolicy
from plm.domain.orders import Hop
from plm.domain.relay import ForwardTask
from plm.stores.peers import PeerClient
from plm.transport import server as server_module
from plm.transport.channels import Channels
from plm.wire import plm_pb2 as pb
from prometheus_client import REGISTRY
from support.echo_node import Listening, Mounted, confirmed
from support.waiting import until

TASK = ForwardTask("p", 1, "USD", (Hop("b", "d", 1, LinkPolicy(0)),), 0, 1000)
State = health_pb2.HealthCheckResponse


@asynccontextmanager
async def connected(node: Listening, tls: Mounted) -> AsyncIterator[tuple[PeerClient, Any]]:
    """The node's own calls, and its health."""
    channels = Channels(tls.tls)
    try:
        health = health_pb2_grpc.HealthStub(channels.channel(node.target, "node-b"))
        yield PeerClient(channels, lambda _: node.target), health
    finally:
        await channels.close()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def state(health: Any) -> int:
    reply = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
    return int(reply.status)


def counted(outcome: str) -> float:
    """Forward calls with this outcome so far."""
    labels = {"method": "Forward", "outcome": outcome}
    return REGISTRY.get_sample_value("plm_rpc_seconds_count", labels) or 0.0


async def test_health_says_what_it_was_told(node: Listening, gateway_tls: Mounted) -> None:
    async with connected(node, gateway_tls) as (_, health):
        assert await state(health) == State.SERVING
        await node.grpc.set_serving(serving=False)
        assert await state(health) == State.NOT_SERVING


async def test_health_follows_a_verdict(
    node: Listening, gateway_tls: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_FOLLOW_S", 0.005)
    verdict = [True]
    async with connected(node, gateway_tls) as (_, health):
        watching = health.Watch(health_pb2.HealthCheckRequest())
        following = asyncio.create_task(node.grpc.follow(lambda: verdict[0]))
        for is_well in (True, False, True):
            verdict[0] = is_well
            seen = (await asyncio.wait_for(watching.read(), 5)).status
            assert seen == (State.SERVING if is_well else State.NOT_SERVING)
        following.cancel()
        watching.cancel()


async def test_a_drain_lets_what_runs_come_to_its_end_and_takes_nothing_new(
    node: Listening, gateway_tls: Mounted
) -> None:
    may_answer = asyncio.Event()

    async def long() -> pb.ForwardReply:
        await may_answer.wait()
        return await confirmed()

    node.node.answer = long
    async with connected(node, gateway_tls) as (peers, _):
        under_way = asyncio.create_task(peers.forward("b", TASK, 5))
        await until(lambda: bool(node.node.callers), 5, "the call has arrived")
        draining = asyncio.create_task(node.grpc.drain(5))
        await until(lambda: not is_open(node.grpc.port), 5, "the port is closed")
        with pytest.raises(Unavailable) as caught:
            await peers.forward("b", TASK, 0.5)
        assert caught.value.code in {Code.NODE_UNREACHABLE, Code.DEADLINE_EXCEEDED}
        assert len(node.node.callers) == 1, "nothing new was taken"
        may_answer.set()
        assert (await under_way).hold_ids == ("h",)
        await draining


async def test_a_drain_ends_when_its_grace_is_over(node: Listening, gateway_tls: Mounted) -> None:
    async def stuck() -> pb.ForwardReply:
        await asyncio.Event().wait()
        raise AssertionError

    node.node.answer = stuck
    async with connected(node, gateway_tls) as (peers, _):
        under_way = asyncio.create_task(peers.forward("b", TASK, 5))
        await until(lambda: bool(node.node.callers), 5, "the call has arrived")
        await node.grpc.drain(0.05)
        with pytest.raises(Unavailable):
            await under_way


async def test_every_call_is_measured_by_its_outcome(node: Listening, gateway_tls: Mounted) -> None:
    async def conflicting() -> pb.ForwardReply:
        raise Conflict(Code.ATTEMPT_CLOSED, "no")

    async def broken() -> pb.ForwardReply:
        raise RuntimeError

    async def stuck() -> pb.ForwardReply:
        await asyncio.Event().wait()
        raise AssertionError

    answers = {"ok": confirmed, "attempt_closed": conflicting, "internal": broken}
    before = {outcome: counted(outcome) for outcome in (*answers, "cancelled")}
    async with connected(node, gateway_tls) as (peers, _):
        for answer in answers.values():
            node.node.answer = answer
            await asyncio.gather(peers.forward("b", TASK, 5), return_exceptions=True)
        node.node.answer = stuck
        arrived = len(node.node.callers) + 1
        under_way = asyncio.create_task(peers.forward("b", TASK, 60))
        await until(lambda: len(node.node.callers) == arrived, 5, "the call has arrived")
        under_way.cancel()
        await until(lambda: counted("cancelled") > before["cancelled"], 5, "the hang-up was seen")
    grown = {outcome: counted(outcome) - count for outcome, count in before.items()}
    assert grown == dict.fromkeys(before, 1.0)


async def send_bytes(node: Listening, tls: Mounted, content: bytes) -> grpc.StatusCode:
    """The status of a call with these bytes as its message."""
    channels = Channels(tls.tls)
    channel = channels.channel(node.target, "node-b")
    call = channel.unary_unary("/plm.v1.Node/Forward", bytes, bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(content, timeout=5)
    await channels.close()
    return caught.value.code()


async def test_a_message_that_is_too_large_is_not_read(
    node: Listening, gateway_tls: Mounted
) -> None:
    """A megabyte is a thousand times any message of ours."""
    status = await send_bytes(node, gateway_tls, b"x" * (2 * 1024 * 1024))
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert node.node.callers == []


@pytest.mark.parametrize("garbage", [b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", b"not protobuf"])
async def test_bytes_that_are_no_message_reach_nobody(
    node: Listening, gateway_tls: Mounted, garbage: bytes
) -> None:
    assert await send_bytes(node, gateway_tls, garbage) is grpc.StatusCode.UNKNOWN
    assert node.node.callers == []
