"""The ledger service as a store: settings, and one typed method per call. gRPC errors stop here."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import grpc
from pydantic import BaseModel, ConfigDict

from plm.domain.chain import Entry
from plm.domain.errors import Code
from plm.domain.mesh import Link, Node
from plm.domain.orders import AttemptOrder, CloseOrder, PaymentOrder, RefuseOrder, TransferOrder
from plm.domain.payments import Attempt, Payment
from plm.transport.channels import Channels
from plm.transport.errors import from_rpc
from plm.wire import codec
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import LedgerStub

_Reply = TypeVar("_Reply")


class LedgerClientSettings(BaseModel):
    """Where the ledger is, which name its certificate must carry, and how long we wait for it."""

    model_config = ConfigDict(frozen=True)

    target: str = "ledger:7443"
    server_name: str = "ledger"
    timeout_s: float = 2.0
    verify_timeout_s: float = 300.0


class LedgerClient:
    """All calls raise PlmError. An Unavailable with effect_unknown may have happened: ask again with the same id."""

    def __init__(self, channels: Channels, settings: LedgerClientSettings) -> None:
        self._channels = channels
        self._settings = settings

    @property
    def _stub(self) -> Any:  # the generated stub is not typed
        channel = self._channels.channel(self._settings.target, self._settings.server_name)
        return LedgerStub(channel)

    async def _call(self, method: str, request: object, timeout_s: float | None = None) -> Any:
        call = getattr(self._stub, method)
        return await _answered(call(request, timeout=timeout_s or self._settings.timeout_s))

    async def begin_payment(self, order: PaymentOrder) -> Payment:
        """Record what the client asked for."""
        request = pb.BeginPaymentRequest(
            payment_id=order.payment_id,
            client_id=order.client_id,
            body_sha256=order.body_sha256,
            from_node=order.from_node,
            to_node=order.to_node,
            amount=str(order.amount),
            currency=order.currency,
        )
        return codec.payment_from_wire(await self._call("BeginPayment", request))

    async def begin_attempt(self, order: AttemptOrder) -> Attempt:
        """Open an attempt over a route."""
        request = pb.BeginAttemptRequest(
            payment_id=order.payment_id,
            attempt=order.number,
            hops=[codec.hop_to_wire(hop) for hop in order.hops],
            timeout_ms=order.timeout_ms,
        )
        return codec.attempt_from_wire(await self._call("BeginAttempt", request))

    async def hold(self, payment_id: str, number: int, hop: int) -> str:
        """Take the hold of one hop, as the node whose certificate we carry. Returns its id."""
        request = pb.HoldRequest(payment_id=payment_id, attempt=number, hop=hop)
        return str((await self._call("Hold", request)).hold_id)

    async def post_attempt(
        self, payment_id: str, number: int, hold_ids: tuple[str, ...]
    ) -> Attempt:
        """The commit point."""
        request = pb.PostAttemptRequest(payment_id=payment_id, attempt=number, hold_ids=hold_ids)
        return codec.attempt_from_wire(await self._call("PostAttempt", request))

    async def close_attempt(self, order: CloseOrder) -> Attempt:
        """Give an attempt up; the answer is posted or closed."""
        request = pb.CloseAttemptRequest(
            payment_id=order.payment_id,
            attempt=order.number,
            reason=order.reason,
            failed_node=order.failed_node,
        )
        return codec.attempt_from_wire(await self._call("CloseAttempt", request))

    async def refuse_payment(self, order: RefuseOrder) -> Payment:
        """Keep a refusal as the payment's answer."""
        request = pb.RefusePaymentRequest(
            payment_id=order.payment_id, code=order.code, detail=order.detail
        )
        return codec.payment_from_wire(await self._call("RefusePayment", request))

    async def get_payment(self, payment_id: str) -> Payment:
        """A payment with its attempts."""
        request = pb.GetPaymentRequest(payment_id=payment_id)
        return codec.payment_from_wire(await self._call("GetPayment", request))

    async def transfer(self, order: TransferOrder) -> tuple[int, bytes]:
        """Move money at once. Returns seq and hash of its entry."""
        request = pb.TransferRequest(
            transfer_id=order.transfer_id,
            debit_account=order.debit,
            credit_account=order.credit,
            amount=str(order.amount),
            currency=order.currency,
        )
        reply = await self._call("Transfer", request)
        return reply.entry_seq, reply.entry_hash

    async def balance(self, account_id: str) -> pb.Balance:
        """Posted, held and available of an account."""
        reply: pb.Balance = await self._call(
            "GetBalance", pb.GetBalanceRequest(account_id=account_id)
        )
        return reply

    async def entries(self, account_id: str, after_seq: int, limit: int) -> tuple[list[Entry], int]:
        """A page of the chain and the head's seq."""
        request = pb.ListEntriesRequest(account_id=account_id, after_seq=after_seq, limit=limit)
        reply = await self._call("ListEntries", request)
        return [codec.entry_from_wire(entry) for entry in reply.entries], reply.head_seq

    async def nodes(self) -> list[Node]:
        """All nodes with their links, disabled ones included."""
        reply = await self._call("ListNodes", pb.ListNodesRequest())
        return [codec.node_from_wire(node) for node in reply.nodes]

    async def snapshot(self) -> tuple[list[Node], list[Link], int]:
        """Enabled nodes, their links, and the stream sequence that is contained."""
        reply = await self._call("GraphSnapshot", pb.GraphSnapshotRequest())
        nodes = [codec.node_from_wire(node) for node in reply.nodes]
        return nodes, [link for node in nodes for link in node.links], reply.stream_sequence

    async def verify(self) -> pb.VerifyReply:
        """Recompute chain and sums. Takes seconds on a long chain."""
        reply: pb.VerifyReply = await self._call(
            "Verify", pb.VerifyRequest(), self._settings.verify_timeout_s
        )
        return reply


async def _answered(call: Awaitable[_Reply]) -> _Reply:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error, Code.LEDGER_UNAVAILABLE) from error
