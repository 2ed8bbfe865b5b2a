"""The HTTP API: parse, ask, encode. Nothing is decided here."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Header, Path, Query

from plm.domain import ids, money
from plm.domain.books import check_amount
from plm.domain.chain import Entry
from plm.domain.errors import Code, Refused
from plm.domain.mesh import Node
from plm.domain.orders import PaymentOrder
from plm.domain.payments import Payment
from plm.domain.routes import Ban, Quoter
from plm.gateway import bodies, examples, views
from plm.gateway.engine import Payments, Routes
from plm.gateway.keys import Client, Keys
from plm.wire import plm_pb2 as pb

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
_SEQ_MAX = 2**63 - 1  # of the wire

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A refusal; see docs/errors.md for the codes.",
        "content": {"application/problem+json": {"schema": bodies.ProblemBody.model_json_schema()}},
    }
}


class Ledger(Protocol):
    """What the API reads. Raises PlmError."""

    async def get_payment(self, payment_id: str) -> Payment: ...
    async def nodes(self) -> list[Node]: ...
    async def balance(self, account_id: str) -> pb.Balance: ...
    async def entries(
        self, account_id: str, after_seq: int, limit: int
    ) -> tuple[list[Entry], int]: ...
    async def verify(self) -> pb.VerifyReply: ...


class Peers(Protocol):
    """What the debug routes ask of a node. Raises PlmError."""

    async def arm_hold_point(self, node_id: str, hold_ms_max: int) -> pb.HoldPointState: ...
    async def hold_point(self, node_id: str, wait_ms: int) -> pb.HoldPointState: ...
    async def exit(self, node_id: str) -> None: ...


@dataclass(frozen=True)
class Parts:
    """What the API stands on."""

    payments: Payments
    graph: Routes
    ledger: Ledger
    peers: Peers
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


def quotable(quoter: Quoter, body: bodies.RoutesRequest) -> int:
    """The amount of a request for routes, minor units. Raises Refused for what no payment could ask either."""
    amount = money.parse_amount(body.amount, body.currency)
    check_amount(amount)
    if body.from_node == body.to_node:
        raise Refused(Code.SAME_NODE, "sender and receiver are the same node")
    for edge in quoter.graph.edges:
        link = edge.link
        if link.from_node == body.from_node and link.currency != body.currency:
            raise Refused(
                Code.CURRENCY_MISMATCH,
                f"{link.from_node} is in {link.currency}, not {body.currency}",
            )
    return amount


def create_router(parts: Parts) -> APIRouter:
    """All of /v1."""
    router = APIRouter(prefix="/v1", responses=PROBLEMS)

    async def client_of(authorization: Authorization = "") -> Client:
        return parts.keys.client_of(authorization)

    Caller = Annotated[Client, Depends(client_of)]  # noqa: N806 - a type

    @router.post("/payments", responses=examples.answer(examples.PAYMENT))
    async def pay(
        body: bodies.PaymentRequest, key: IdempotencyKey, caller: Caller
    ) -> bodies.PaymentBody:
        """Pay, over the best live route; answers when the payment is settled or refused, the same for ever."""
        return views.payment(await parts.payments.pay(order_of(caller, key, body)))

    @router.get("/payments/{payment_id}", responses=examples.answer(examples.PAYMENT))
    async def payment(
        payment_id: Annotated[str, Path(description="As the receipt has it.")], caller: Caller
    ) -> bodies.PaymentBody:
        """A payment with its attempts, holds and hashes."""
        found = await parts.ledger.get_payment(payment_id)
        caller.check_pays_from(found.order.from_node)
        return views.payment(found)

    @router.post("/routes", responses=examples.answer(examples.ROUTES))
    async def routes(body: bodies.RoutesRequest, caller: Caller) -> bodies.RoutesBody:
        """Up to k routes for a payment, best first, and why links were left out. Moves nothing."""
        caller.check_pays_from(body.from_node)
        quoter, ban = parts.graph.quoter, Ban(nodes=frozenset(body.without_nodes))
        amount = quotable(quoter, body)
        choose = quoter.disjoint_routes if body.disjoint else quoter.routes
        found = choose(body.from_node, body.to_node, amount, k=body.k, ban=ban)
        out = quoter.left_out(amount, ban)
        return views.routes(quoter, parts.entropy, found, out, body.currency)

    @router.get("/nodes", responses=examples.answer(examples.NODES))
    async def nodes(caller: Caller) -> bodies.NodesBody:  # noqa: ARG001 - any known key may look
        """All registered nodes with their links."""
        return bodies.NodesBody(nodes=[views.node(each) for each in await parts.ledger.nodes()])

    @router.get("/ledger/{account:path}", responses=examples.answer(examples.ACCOUNT))
    async def account(
        account: Annotated[str, Path(description="link/a/b or external/USD")],
        caller: Caller,
        after_seq: Annotated[int, Query(alias="afterSeq", ge=0, le=_SEQ_MAX)] = 0,
        limit: Annotated[int, Query(ge=1, le=_ENTRIES_MAX)] = 100,
    ) -> bodies.AccountBody:
        """Balance of an account, and its entries in the chain after a sequence number."""
        balance = await parts.ledger.balance(account)
        caller.check_pays_from(balance.owner)
        entries, head_seq = await parts.ledger.entries(account, after_seq, limit)
        return views.account(balance, entries, head_seq)

    @router.post("/ledger/verify", responses=examples.answer(examples.VERDICT))
    async def verify(caller: Caller) -> bodies.VerdictBody:
        """Recompute the hash chain and the sums from the rows. Role operator."""
        caller.check_operator()
        return views.verdict(await parts.ledger.verify())

    return router
