"""The gRPC face of the ledger: who may call what, messages to commands, answers to messages."""

from typing import Any, TypeVar, cast

from plm.domain import ids
from plm.domain.books import Transfer
from plm.domain.deciding import Command
from plm.domain.errors import Code, Refused
from plm.domain.forms import name, note
from plm.domain.mesh import Link, Node, Registration
from plm.domain.orders import (
    AttemptOrder,
    CloseOrder,
    DisableOrder,
    HoldOrder,
    LinkOrder,
    NodeOrder,
    PaymentOrder,
    PostOrder,
    RefuseOrder,
    TransferOrder,
)
from plm.domain.payments import Attempt, Payment
from plm.ledger.reading import Reader
from plm.ledger.verifying import Auditor, Verdict
from plm.ledger.writer import Writer
from plm.transport.identity import node_of, peer_identity, require
from plm.wire import codec
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import LedgerServicer

OPERATOR = ids.service_spiffe("operator")
GATEWAY = ids.service_spiffe("gateway")

Context = Any
_Kind = TypeVar("_Kind", Payment, Attempt, Transfer, Node, Link)


class LedgerServer(LedgerServicer):
    """One method per call. Errors are raised as PlmError; the transport turns them into statuses.

    Who calls is asked first: once a method has waited, its caller may have hung up and the context be freed.
    """

    def __init__(self, writer: Writer, reader: Reader, auditor: Auditor) -> None:
        self._writer = writer
        self._reader = reader
        self._auditor = auditor

    async def _decide(self, command: Command, _kind: type[_Kind]) -> _Kind:
        return cast(_Kind, await self._writer.submit(command))

    async def RegisterNode(
        self, request: pb.RegisterNodeRequest, context: Context
    ) -> pb.NodeRecord:
        require(peer_identity(context), OPERATOR)
        order = NodeOrder(
            request.node_id,
            request.role,
            request.currency,
            Registration(request.object_uid, request.generation),
            tuple(request.links_to),
        )
        return codec.node_to_wire(await self._decide(order, Node))

    async def RegisterLink(
        self, request: pb.RegisterLinkRequest, context: Context
    ) -> pb.LinkRecord:
        require(peer_identity(context), OPERATOR)
        order = LinkOrder(
            request.from_node,
            request.to_node,
            codec.policy_from_wire(request.policy),
            codec.amount_from_wire(request.declared_volume),
            Registration(request.object_uid, request.generation),
        )
        return codec.link_to_wire(await self._decide(order, Link))

    async def DisableNode(self, request: pb.DisableNodeRequest, context: Context) -> pb.NodeRecord:
        require(peer_identity(context), OPERATOR)
        return codec.node_to_wire(await self._decide(DisableOrder(request.node_id), Node))

    async def ListNodes(self, request: pb.ListNodesRequest, context: Context) -> pb.ListNodesReply:
        require(peer_identity(context), OPERATOR, GATEWAY)
        nodes = await self._reader.nodes()
        return pb.ListNodesReply(nodes=[codec.node_to_wire(node) for node in nodes])

    async def GraphSnapshot(
        self, request: pb.GraphSnapshotRequest, context: Context
    ) -> pb.GraphSnapshotReply:
        require(peer_identity(context), GATEWAY)
        nodes, sequence = await self._reader.snapshot()
        return pb.GraphSnapshotReply(
            nodes=[codec.node_to_wire(node) for node in nodes if node.enabled],
            stream_sequence=sequence,
        )

    async def BeginPayment(self, request: pb.BeginPaymentRequest, context: Context) -> pb.Payment:
        require(peer_identity(context), GATEWAY)
        order = PaymentOrder(
            request.payment_id,
            request.client_id,
            request.body_sha256,
            request.from_node,
            request.to_node,
            codec.amount_from_wire(request.amount),
            request.currency,
        )
        return codec.payment_to_wire(await self._decide(order, Payment))

    async def BeginAttempt(self, request: pb.BeginAttemptRequest, context: Context) -> pb.Attempt:
        require(peer_identity(context), GATEWAY)
        order = AttemptOrder(
            request.payment_id,
            request.attempt,
            tuple(codec.hop_from_wire(hop) for hop in request.hops),
            request.timeout_ms,
        )
        return codec.attempt_to_wire(await self._decide(order, Attempt))

    async def Hold(self, request: pb.HoldRequest, context: Context) -> pb.HoldReply:
        owner = _node(peer_identity(context))
        order = HoldOrder(request.payment_id, request.attempt, request.hop, owner)
        attempt = await self._decide(order, Attempt)
        hold_id = ids.hold_id(request.payment_id, request.attempt, request.hop)
        return pb.HoldReply(hold_id=hold_id, deadline_ms=attempt.deadline_ms)

    async def PostAttempt(self, request: pb.PostAttemptRequest, context: Context) -> pb.Attempt:
        owner = _node(peer_identity(context))
        order = PostOrder(request.payment_id, request.attempt, tuple(request.hold_ids), owner)
        return codec.attempt_to_wire(await self._decide(order, Attempt))

    async def CloseAttempt(self, request: pb.CloseAttemptRequest, context: Context) -> pb.Attempt:
        identity = peer_identity(context)
        if identity != GATEWAY:
            await self._check_on_route(request.payment_id, request.attempt, _node(identity))
        # Whatever is said of it, the holds must go back: nothing is refused for its words.
        reason, failed_node = note(request.reason), name(request.failed_node)
        order = CloseOrder(request.payment_id, request.attempt, reason, failed_node)
        return codec.attempt_to_wire(await self._decide(order, Attempt))

    async def _check_on_route(self, payment_id: str, number: int, node_id: str) -> None:
        """A node may give up an attempt that passes through it, and no other."""
        payment = await self._reader.payment(payment_id)
        for attempt in payment.attempts:
            on_route = {hop.from_node for hop in attempt.hops} | {
                hop.to_node for hop in attempt.hops
            }
            if attempt.number == number and node_id in on_route:
                return
        raise Refused(Code.NOT_OWNER, f"attempt {number} does not pass through {node_id}")

    async def RefusePayment(self, request: pb.RefusePaymentRequest, context: Context) -> pb.Payment:
        require(peer_identity(context), GATEWAY)
        order = RefuseOrder(request.payment_id, request.code, note(request.detail))
        return codec.payment_to_wire(await self._decide(order, Payment))

    async def GetPayment(self, request: pb.GetPaymentRequest, context: Context) -> pb.Payment:
        identity = peer_identity(context)
        payment = await self._reader.payment(request.payment_id)
        if identity != GATEWAY:
            node_id = _node(identity)
            if node_id not in {payment.order.from_node, payment.order.to_node}:
                raise Refused(Code.NOT_OWNER, f"{node_id} has no part in this payment")
        return codec.payment_to_wire(payment)

    async def Transfer(self, request: pb.TransferRequest, context: Context) -> pb.TransferReply:
        require(peer_identity(context), OPERATOR)
        order = TransferOrder(
            request.transfer_id,
            request.debit_account,
            request.credit_account,
            codec.amount_from_wire(request.amount),
            request.currency,
        )
        posted = await self._decide(order, Transfer)
        return pb.TransferReply(
            transfer_id=posted.transfer_id, entry_seq=posted.entry_seq, entry_hash=posted.entry_hash
        )

    async def GetBalance(self, request: pb.GetBalanceRequest, context: Context) -> pb.Balance:
        require(peer_identity(context), GATEWAY)
        account = await self._reader.account(request.account_id)
        return pb.Balance(
            account_id=account.account_id,
            owner=account.owner,
            currency=account.currency,
            kind=account.kind,
            posted=str(account.posted),
            held=str(account.held),
            available=str(account.available),
        )

    async def ListEntries(
        self, request: pb.ListEntriesRequest, context: Context
    ) -> pb.ListEntriesReply:
        require(peer_identity(context), GATEWAY)
        entries, head = await self._reader.entries(
            request.account_id, request.after_seq, request.limit
        )
        return pb.ListEntriesReply(
            entries=[codec.entry_to_wire(entry) for entry in entries], head_seq=head.seq
        )

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> pb.VerifyReply:
        require(peer_identity(context), GATEWAY)
        return _verdict_to_wire(await self._auditor.verify())


def _node(identity: str) -> str:
    node_id = node_of(identity)
    if not node_id:
        raise Refused(Code.FORBIDDEN, "only a mesh node may call this")
    return node_id


def _verdict_to_wire(verdict: Verdict) -> pb.VerifyReply:
    return pb.VerifyReply(
        ok=not verdict.findings,
        entries=verdict.entries,
        head_seq=verdict.head.seq,
        head_hash=verdict.head.hash,
        anchored_seq=verdict.anchored_seq,
        unanchored=max(0, verdict.head.seq - verdict.anchored_seq),
        findings=[
            pb.Finding(kind=each.kind, seq=each.seq, detail=each.detail)
            for each in verdict.findings
        ],
        sums={currency: str(total) for currency, total in verdict.sums.items()},
        elapsed_ms=verdict.elapsed_ms,
        anchors_unread=verdict.anchors_unread,
    )
