"""Mesh nodes as a store of payments on their way: the client side of plm.v1.Node. gRPC errors stop here."""

from collections.abc import Callable
from typing import Any

import grpc

from plm.domain.errors import Code
from plm.domain.relay import ForwardTask, Outcome
from plm.transport.channels import Channels
from plm.transport.errors import from_rpc
from plm.wire import forwarding
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import NodeStub

_DEBUG_TIMEOUT_S = 2.0


class PeerClient:
    """Calls nodes by id. The name in the peer's certificate must be the node's, wherever it listens."""

    def __init__(self, channels: Channels, target_of: Callable[[str], str]) -> None:
        self._channels = channels
        self._target_of = target_of

    def _stub(self, node_id: str) -> Any:
        channel = self._channels.channel(self._target_of(node_id), f"node-{node_id}")
        return NodeStub(channel)

    async def _call(self, node_id: str, method: str, request: object, timeout_s: float) -> Any:
        try:
            return await getattr(self._stub(node_id), method)(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, Code.NODE_UNREACHABLE) from error

    async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome:
        """Hand a payment on. Raises PlmError when the node does not answer."""
        reply = await self._call(node_id, "Forward", forwarding.task_to_wire(task), timeout_s)
        return forwarding.outcome_from_wire(reply)

    async def arm_hold_point(self, node_id: str, hold_ms_max: int) -> pb.HoldPointState:
        """Debug: make the next payment stop in a node."""
        request = pb.ArmHoldPointRequest(hold_ms_max=hold_ms_max)
        reply: pb.HoldPointState = await self._call(
            node_id, "ArmHoldPoint", request, _DEBUG_TIMEOUT_S
        )
        return reply

    async def hold_point(self, node_id: str, wait_ms: int) -> pb.HoldPointState:
        """Debug: where the hold point stands; waits for a payment to reach it."""
        request = pb.GetHoldPointRequest(wait_ms=wait_ms)
        reply: pb.HoldPointState = await self._call(
            node_id, "GetHoldPoint", request, _DEBUG_TIMEOUT_S + wait_ms / 1000
        )
        return reply

    async def exit(self, node_id: str) -> None:
        """Debug: make a node leave at once. A node that has left does not answer: that is the answer."""
        await self._call(node_id, "Exit", pb.ExitRequest(), _DEBUG_TIMEOUT_S)
