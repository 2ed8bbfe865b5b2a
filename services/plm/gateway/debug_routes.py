"""Debug: make a node stop in mid-payment, or leave. Only when enabled, and only with a key of role operator."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from plm.domain import ids
from plm.domain.errors import Code, Refused
from plm.gateway import bodies, examples
from plm.gateway.routes import PROBLEMS, Authorization, Parts
from plm.wire import plm_pb2 as pb

NodeName = Annotated[str, Path(description="Name of a mesh node.", examples=["b"])]
_HOLD_POINT = examples.answer(examples.HOLD_POINT)


def _state(found: pb.HoldPointState) -> bodies.HoldPointBody:
    return bodies.HoldPointBody(
        state=found.state, payment_id=found.payment_id, attempt=found.attempt
    )


def create_debug_router(parts: Parts) -> APIRouter:
    """All of /debug."""
    router = APIRouter(prefix="/debug", responses=PROBLEMS)

    def check(authorization: str, node_id: str) -> str:
        parts.keys.client_of(authorization).check_operator()
        return ids.check_node_id(node_id)

    @router.post("/hold/{node_id}", responses=_HOLD_POINT)
    async def arm(
        node_id: NodeName, body: bodies.ArmRequest, authorization: Authorization = ""
    ) -> bodies.HoldPointBody:
        """Make the next payment stop in a node, after its hold and before its call."""
        node = check(authorization, node_id)
        return _state(await parts.peers.arm_hold_point(node, body.hold_ms_max))

    @router.get("/hold/{node_id}", responses=_HOLD_POINT)
    async def hold_point(
        node_id: NodeName,
        wait_ms: Annotated[int, Query(alias="waitMs", ge=0, le=10_000)] = 0,
        authorization: Authorization = "",
    ) -> bodies.HoldPointBody:
        """Where the hold point stands; waits for a payment to reach it."""
        node = check(authorization, node_id)
        return _state(await parts.peers.hold_point(node, wait_ms))

    @router.post("/exit/{node_id}", status_code=204)
    async def leave(node_id: NodeName, authorization: Authorization = "") -> Response:
        """Make a node's process leave at once with code 137."""
        await parts.peers.exit(check(authorization, node_id))
        return Response(status_code=204)

    return router


def create_closed_router(parts: Parts) -> APIRouter:
    """What stands at /debug while it is off: no route, only the reason, and that for a key of role operator alone."""
    router = APIRouter(prefix="/debug", include_in_schema=False)

    @router.api_route("/{_rest:path}", methods=["GET", "POST"])
    async def closed(authorization: Authorization = "") -> None:
        parts.keys.client_of(authorization).check_operator()
        raise Refused(Code.DEBUG_DISABLED, "debug is not enabled")

    return router
