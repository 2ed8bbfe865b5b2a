"""Records to protobuf messages and back. Each pair of functions is inverse; a test says so for any record."""

from plm.domain.chain import Entry, EntryDraft
from plm.domain.errors import Code, Refused
from plm.domain.mesh import Link, LinkPolicy, Node, Registration
from plm.domain.orders import Hop, PaymentOrder
from plm.domain.payments import (
    Attempt,
    AttemptState,
    Hold,
    HoldState,
    Payment,
    PaymentState,
)
from plm.wire import plm_pb2 as pb

_PAYMENT_STATES = {
    PaymentState.OPEN: pb.PAYMENT_STATE_OPEN,
    PaymentState.SETTLED: pb.PAYMENT_STATE_SETTLED,
    PaymentState.REFUSED: pb.PAYMENT_STATE_REFUSED,
}
_ATTEMPT_STATES = {
    AttemptState.OPEN: pb.ATTEMPT_STATE_OPEN,
    AttemptState.POSTED: pb.ATTEMPT_STATE_POSTED,
    AttemptState.CLOSED: pb.ATTEMPT_STATE_CLOSED,
}
_DIGITS_MAX = 40


def amount_from_wire(text: str) -> int:
    """An integer in decimal. Raises Refused(invalid_amount | amount_too_large); its sign is judged later."""
    if len(text) > _DIGITS_MAX:
        raise Refused(Code.AMOUNT_TOO_LARGE, "an amount has at most 38 digits")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise Refused(Code.INVALID_AMOUNT, f"{text!r} is not an integer in minor units")
    return int(text)


def policy_to_wire(policy: LinkPolicy) -> pb.LinkPolicy:
    """Policy of a link."""
    return pb.LinkPolicy(
        base_fee=str(policy.base_fee),
        fee_rate_ppm=policy.fee_rate_ppm,
        latency_ms=policy.latency_ms,
    )


def policy_from_wire(message: pb.LinkPolicy) -> LinkPolicy:
    """Policy of a link; an absent base fee is zero."""
    base_fee = amount_from_wire(message.base_fee or "0")
    return LinkPolicy(base_fee, message.fee_rate_ppm, message.latency_ms)


def link_to_wire(link: Link) -> pb.LinkRecord:
    """A link. Its registration stays with the ledger."""
    return pb.LinkRecord(
        from_node=link.from_node,
        to_node=link.to_node,
        policy=policy_to_wire(link.policy),
        declared_volume=str(link.declared_volume),
        liquidity_volume=str(link.liquidity_volume),
        version=link.version,
        enabled=link.enabled,
        currency=link.currency,
    )


def link_from_wire(message: pb.LinkRecord) -> Link:
    """A link, without its registration."""
    return Link(
        message.from_node,
        message.to_node,
        policy_from_wire(message.policy),
        amount_from_wire(message.declared_volume),
        Registration("", 0),
        message.version,
        message.currency,
        message.enabled,
        amount_from_wire(message.liquidity_volume),
    )


def node_to_wire(node: Node) -> pb.NodeRecord:
    """A node with its links."""
    return pb.NodeRecord(
        node_id=node.node_id,
        role=node.role,
        currency=node.currency,
        enabled=node.enabled,
        object_uid=node.registration.object_uid,
        generation=node.registration.generation,
        links=[link_to_wire(link) for link in node.links],
        version=node.version,
    )


def node_from_wire(message: pb.NodeRecord) -> Node:
    """A node with its links."""
    return Node(
        message.node_id,
        message.role,
        message.currency,
        Registration(message.object_uid, message.generation),
        message.version,
        message.enabled,
        tuple(link_from_wire(link) for link in message.links),
    )


def hop_to_wire(hop: Hop) -> pb.Hop:
    """A hop of a route."""
    return pb.Hop(
        from_node=hop.from_node,
        to_node=hop.to_node,
        amount=str(hop.amount),
        policy=policy_to_wire(hop.policy),
    )


def hop_from_wire(message: pb.Hop) -> Hop:
    """A hop of a route."""
    return Hop(
        message.from_node,
        message.to_node,
        amount_from_wire(message.amount),
        policy_from_wire(message.policy),
    )


def attempt_to_wire(attempt: Attempt) -> pb.Attempt:
    """An attempt with its holds."""
    return pb.Attempt(
        payment_id=attempt.payment_id,
        attempt=attempt.number,
        state=_ATTEMPT_STATES[attempt.state],
        hops=[hop_to_wire(hop) for hop in attempt.hops],
        holds=[_hold_to_wire(hold) for hold in attempt.holds],
        opened_at_ms=attempt.opened_at_ms,
        deadline_ms=attempt.deadline_ms,
        ended_at_ms=attempt.ended_at_ms,
        close_reason=attempt.close_reason,
        failed_node=attempt.failed_node,
    )


def attempt_from_wire(message: pb.Attempt) -> Attempt:
    """An attempt with its holds."""
    states = {wire: state for state, wire in _ATTEMPT_STATES.items()}
    return Attempt(
        message.payment_id,
        message.attempt,
        states[message.state],
        tuple(hop_from_wire(hop) for hop in message.hops),
        message.opened_at_ms,
        message.deadline_ms,
        message.ended_at_ms,
        message.close_reason,
        message.failed_node,
        tuple(_hold_from_wire(hold) for hold in message.holds),
    )


def _hold_to_wire(hold: Hold) -> pb.HoldRecord:
    return pb.HoldRecord(
        hop=hold.hop,
        hold_id=hold.hold_id,
        state=hold.state,
        entry_seq=hold.entry_seq,
        entry_hash=hold.entry_hash,
    )


def _hold_from_wire(message: pb.HoldRecord) -> Hold:
    return Hold(
        message.hold_id,
        message.hop,
        HoldState(message.state),
        message.entry_seq,
        message.entry_hash,
    )


def payment_to_wire(payment: Payment) -> pb.Payment:
    """A payment with its attempts. The body's hash stays with the ledger."""
    order = payment.order
    return pb.Payment(
        payment_id=order.payment_id,
        client_id=order.client_id,
        from_node=order.from_node,
        to_node=order.to_node,
        amount=str(order.amount),
        currency=order.currency,
        state=_PAYMENT_STATES[payment.state],
        refusal_code=payment.refusal_code,
        refusal_detail=payment.refusal_detail,
        created_at_ms=payment.created_at_ms,
        ended_at_ms=payment.ended_at_ms,
        attempts=[attempt_to_wire(attempt) for attempt in payment.attempts],
    )


def payment_from_wire(message: pb.Payment) -> Payment:
    """A payment with its attempts."""
    states = {wire: state for state, wire in _PAYMENT_STATES.items()}
    order = PaymentOrder(
        message.payment_id,
        message.client_id,
        b"",
        message.from_node,
        message.to_node,
        amount_from_wire(message.amount),
        message.currency,
    )
    return Payment(
        order,
        states[message.state],
        message.created_at_ms,
        message.ended_at_ms,
        message.refusal_code,
        message.refusal_detail,
        tuple(attempt_from_wire(attempt) for attempt in message.attempts),
    )


def entry_to_wire(entry: Entry) -> pb.Entry:
    """A row of the chain."""
    draft = entry.draft
    return pb.Entry(
        seq=entry.seq,
        prev_hash=entry.prev_hash,
        hash=entry.hash,
        version=entry.version,
        transfer_id=draft.transfer_id,
        kind=draft.kind,
        debit_account=draft.debit,
        credit_account=draft.credit,
        amount=str(draft.amount),
        currency=draft.currency,
        ref=draft.ref,
        created_at_ms=entry.created_at_ms,
        epoch=entry.epoch,
    )


def entry_from_wire(message: pb.Entry) -> Entry:
    """A row of the chain."""
    draft = EntryDraft(
        message.transfer_id,
        message.kind,
        message.debit_account,
        message.credit_account,
        amount_from_wire(message.amount),
        message.currency,
        message.ref,
    )
    return Entry(
        message.seq,
        message.prev_hash,
        message.hash,
        draft,
        message.created_at_ms,
        message.epoch,
        message.version,
    )
