"""The gateway's application over a paper mesh, asked over ASGI: every layer but the sockets is the real one."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from plm.domain.graph import Entropy
from plm.domain.orders import PaymentOrder
from plm.domain.payments import AttemptState, Payment
from plm.gateway.app import create_app
from plm.gateway.engine import Payments, Peers
from plm.gateway.keys import Keys
from plm.gateway.live_graph import LiveGraph
from plm.gateway.routes import Parts
from plm.stores.nats import BusMessage
from plm.wire import plm_pb2 as pb
from support.demo_mesh import payment_order
from support.paper_mesh import GATEWAY, PaperMesh, PaperPeers

OPERATOR_KEY = "key-of-the-operator"
SHOP_KEY = "key-of-the-shop"  # may pay from b alone
OTHER_KEY = "key-of-another-operator"
_SALT = "0a0b"

ORDER = {"from": "a", "to": "d", "amount": "10.00", "currency": "USD"}


def key_entry(
    client_id: str, role: str, key: str, nodes: Sequence[str] = (), salt: str = _SALT
) -> dict[str, Any]:
    """One client of a key file."""
    digest = hashlib.sha256(bytes.fromhex(salt) + key.encode()).hexdigest()
    return {"client_id": client_id, "role": role, "salt": salt, "key_sha256": digest, "nodes": [*nodes]}  # fmt: skip


def write_keys(path: Path, *entries: Mapping[str, Any]) -> Path:
    """A key file of these clients."""
    path.write_text(json.dumps({"clients": entries}))
    return path


class SilentStream:
    """A stream on which nothing happens."""

    async def follow(self, subject: str, from_sequence: int) -> AsyncIterator[BusMessage]:
        nothing: tuple[BusMessage, ...] = ()
        for message in nothing:
            yield message


class PaperHoldPoints:
    """What the debug routes reach; remembers what they asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    async def arm_hold_point(self, node_id: str, hold_ms_max: int) -> pb.HoldPointState:
        self.asked.append(("arm", node_id, hold_ms_max))
        return pb.HoldPointState(state="armed")

    async def hold_point(self, node_id: str, wait_ms: int) -> pb.HoldPointState:
        self.asked.append(("look", node_id, wait_ms))
        return pb.HoldPointState(state="reached", payment_id="pay_1", attempt=2)

    async def exit(self, node_id: str) -> None:
        self.asked.append(("exit", node_id))


@dataclass(frozen=True)
class PaperGateway:
    """One gateway process. Another over the same mesh is its copy, or its life after a crash."""

    mesh: PaperMesh
    graph: LiveGraph
    payments: Payments
    hold_points: PaperHoldPoints
    app: FastAPI

    def client(self, key: str | None = OPERATOR_KEY) -> httpx.AsyncClient:
        """An HTTP client with this API key; a failure of the application is an answer, as over a socket."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="https://gateway",
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
        )

    async def pay(
        self, idempotency_key: str, body: object = None, key: str | None = OPERATOR_KEY
    ) -> httpx.Response:
        """One payment; by default A pays D 10.00 USD."""
        async with self.client(key) as client:
            return await client.post(
                "/v1/payments",
                json=ORDER if body is None else body,
                headers={"Idempotency-Key": idempotency_key},
            )

    async def get(self, path: str, key: str | None = OPERATOR_KEY) -> httpx.Response:
        """One question."""
        async with self.client(key) as client:
            return await client.get(path)


async def payments_over(
    mesh: PaperMesh, peers: Peers | None = None, in_flight_max: int = 512
) -> tuple[Payments, LiveGraph]:
    """One gateway's engine and its view of the mesh, which has taken its first snapshot."""
    ledger = mesh.ledger.as_seen_by(GATEWAY)
    graph = LiveGraph(ledger, SilentStream(), Entropy.RAW)
    await graph.refresh()
    return Payments(ledger, peers or PaperPeers(mesh, GATEWAY), graph, in_flight_max), graph


async def pay_over(mesh: PaperMesh, order: PaymentOrder | None = None) -> Payment:
    """What a gateway of its own answers; by default A pays D 10.00 USD."""
    payments, _ = await payments_over(mesh)
    return await payments.pay(order or payment_order("p"))


async def open_gateway(
    folder: Path,
    mesh: PaperMesh | None = None,
    *,
    debug_enabled: bool = False,
    in_flight_max: int = 512,
) -> PaperGateway:
    """A gateway that has taken its first snapshot."""
    mesh = mesh or PaperMesh()
    ledger = mesh.ledger.as_seen_by(GATEWAY)
    payments, graph = await payments_over(mesh, in_flight_max=in_flight_max)
    keys = write_keys(
        folder / "keys.json",
        key_entry("platform", "operator", OPERATOR_KEY),
        key_entry("shop", "client", SHOP_KEY, ["b"]),
        key_entry("other", "operator", OTHER_KEY),
    )
    hold_points = PaperHoldPoints()
    parts = Parts(
        payments, graph, ledger, hold_points, Keys(keys), Entropy.RAW, debug_enabled=debug_enabled
    )
    return PaperGateway(mesh, graph, payments, hold_points, create_app(parts))


def states(payment: Payment) -> list[tuple[str, AttemptState]]:
    """Route and end of each attempt."""
    found = []
    for attempt in payment.attempts:
        stops = [hop.from_node for hop in attempt.hops[:1]] + [hop.to_node for hop in attempt.hops]
        found.append(("".join(stops), attempt.state))
    return found


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, after what must hold for each."""
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json", response.text
    assert body.keys() == {"type", "title", "status", "code", "detail", "effectUnknown"}
    assert body["status"] == response.status_code
    assert body["detail"]
    if response.status_code in {429, 503}:
        assert int(response.headers["Retry-After"]) >= 1
    return response.status_code, body["code"]
