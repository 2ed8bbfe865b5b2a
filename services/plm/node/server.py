"""The gRPC face of a mesh node."""

import os
from typing import Any

from plm.domain import ids
from plm.domain.errors import Code, Refused
from plm.node.engine import Engine
from plm.node.hold_point import HoldPoint
from plm.transport.identity import peer_identity, require
from plm.wire import forwarding
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import NodeServicer

GATEWAY = ids.service_spiffe("gateway")
KILLED_EXIT_CODE = 137  # as after SIGKILL

Context = Any


class NodeServer(NodeServicer):
    """One method per call. Errors are raised as PlmError; the transport turns them into statuses."""

    def __init__(self, engine: Engine, hold_point: HoldPoint, *, debug_enabled: bool) -> None:
        self._engine = engine
        self._hold_point = hold_point
        self._debug_enabled = debug_enabled

    async def Forward(self, request: pb.ForwardRequest, context: Context) -> pb.ForwardReply:
        task = forwarding.task_from_wire(request)
        return forwarding.outcome_to_wire(await self._engine.forward(task, peer_identity(context)))

    async def ArmHoldPoint(
        self, request: pb.ArmHoldPointRequest, context: Context
    ) -> pb.HoldPointState:
        self._check_debug(context)
        self._hold_point.arm(request.hold_ms_max)
        return self._state()

    async def GetHoldPoint(
        self, request: pb.GetHoldPointRequest, context: Context
    ) -> pb.HoldPointState:
        self._check_debug(context)
        await self._hold_point.wait_reached(request.wait_ms)
        return self._state()

    async def Exit(self, request: pb.ExitRequest, context: Context) -> pb.ExitReply:
        self._check_debug(context)
        os._exit(KILLED_EXIT_CODE)

    def _check_debug(self, context: Context) -> None:
        if not self._debug_enabled:
            raise Refused(Code.DEBUG_DISABLED, "debug is not enabled")
        require(peer_identity(context), GATEWAY)

    def _state(self) -> pb.HoldPointState:
        held = self._hold_point.held
        return pb.HoldPointState(
            state=self._hold_point.state, payment_id=held.payment_id, attempt=held.attempt
        )
