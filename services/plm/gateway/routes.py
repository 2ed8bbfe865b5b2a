"""The HTTP API: parse, ask, encode. Nothing is decided here."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query

from plm.domain import ids, money
from plm.domain.orders import PaymentOrder
from plm.domain.routes import Ban
from plm.gateway import bodies, views
from plm.gateway.engine import Payments
from plm.gateway.keys import Client, Keys
from plm.gateway.live_graph import LiveGraph
from plm.stores.ledger import LedgerClient
from plm.stores.peers import PeerClient

Authorization = Annotated[str, Header(description="Bearer <API key>")]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Chosen by the client; the same key names the same payment for ever.",
    ),
]
_ENTRIES_MAX = 1000

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A refusal; see docs/errors.md for the codes.",
        "content": {"application/problem+json": {"schema": bodies.ProblemBody.model_json_schema()}},
    }
}


@dataclass(frozen=True)
class Parts:
    """What the API stands on."""

    payments: Payments
    graph: LiveGraph
    ledger: LedgerClient
    peers: PeerClient
    keys: Keys
    entropy: str
    debug_enabled: bool


def order_of(client: Client, key: str, body: bodies.PaymentRequest) -> PaymentOrder:
    """The order that a request stands for. Raises Refused."""
    from_node, to_node = ids.check_node_id(body.from_node), ids.check_node_id(body.to_node)
    client.check_pays_from(from_node)
    amount = money.parse_amount(body.amount, body.currency)
    # Over what is meant, not how it was written: a request with other white space is the same request.
    text = f"{from_node}\n{to_node}\n{amount}\n{body.currency}"
    return PaymentOrder(
        ids.payment_id(client.client_id, key),
        client.client_id,
        hashlib.sha256(text.encode()).digest(),
        from_node,
        to_node,
        amount,
        body.currency,
    )


def create_router(parts: Parts) -> APIRouter:
    """All of /v1."""
    router = APIRouter(prefix="/v1", responses=PROBLEMS)

    async def client_of(authorization: Authorization = "") -> Client:
        return parts.keys.client_of(authorization)

    Caller = Annotated[Client, Depends(client_of)]  # noqa: N806 - a type

    @router.post("/payments")
    async def pay(
        body: bodies.PaymentRequest, key: IdempotencyKey, caller: Caller
    ) -> bodies.PaymentBody:
        """Pay, over the best live route; answers when the payment is settled or refused."""
        return views.payment(await parts.payments.pay(order_of(caller, key, body)))

    @router.get("/payments/{payment_id}")
    async def payment(payment_id: str, caller: Caller) -> bodies.PaymentBody:
        """A payment with its attempts, holds and hashes."""
        found = await parts.ledger.get_payment(payment_id)
        caller.check_pays_from(found.order.from_node)
        return views.payment(found)

    @router.post("/routes")
    async def routes(body: bodies.RoutesRequest, caller: Caller) -> bodies.RoutesBody:
        """Up to k routes for a payment, best first, and why links were left out. Moves nothing."""
        caller.check_pays_from(body.from_node)
        amount = money.parse_amount(body.amount, body.currency)
        quoter, ban = parts.graph.quoter, Ban(nodes=frozenset(body.without_nodes))
        choose = quoter.disjoint_routes if body.disjoint else quoter.routes
        found = choose(body.from_node, body.to_node, amount, k=body.k, ban=ban)
        out = quoter.left_out(amount, ban)
        return views.routes(quoter, parts.entropy, found, out, body.currency)

    @router.get("/nodes")
    async def nodes(caller: Caller) -> bodies.NodesBody:  # noqa: ARG001 - any known key may look
        """All registered nodes with their links."""
        return bodies.NodesBody(nodes=[views.node(each) for each in await parts.ledger.nodes()])

    @router.get("/ledger/{account:path}")
    async def account(
        account: Annotated[str, Path(description="link/a/b or external/USD")],
        caller: Caller,
        after_seq: Annotated[int, Query(alias="afterSeq", ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=_ENTRIES_MAX)] = 100,
    ) -> bodies.AccountBody:
        """Balance of an account, and its entries in the chain after a sequence number."""
        balance = await parts.ledger.balance(account)
        caller.check_pays_from(balance.owner)
        entries, head_seq = await parts.ledger.entries(account, after_seq, limit)
        return views.account(balance, entries, head_seq)

    @router.post("/ledger/verify")
    async def verify(caller: Caller) -> bodies.VerdictBody:
        """Recompute the hash chain and the sums from the rows. Role operator."""
        caller.check_operator()
        return views.verdict(await parts.ledger.verify())

    return router
