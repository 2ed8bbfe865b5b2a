"""A payment between nodes, as protobuf and back."""

from plm.domain.errors import Code
from plm.domain.forms import name, note
from plm.domain.relay import ForwardTask, Outcome
from plm.wire import plm_pb2 as pb
from plm.wire.codec import hop_from_wire, hop_to_wire


def task_to_wire(task: ForwardTask) -> pb.ForwardRequest:
    """A payment on its way."""
    return pb.ForwardRequest(
        payment_id=task.payment_id,
        attempt=task.attempt,
        currency=task.currency,
        hops=[hop_to_wire(hop) for hop in task.hops],
        hop=task.position,
        budget_ms=task.budget_ms,
    )


def task_from_wire(message: pb.ForwardRequest) -> ForwardTask:
    """A payment on its way."""
    return ForwardTask(
        message.payment_id,
        message.attempt,
        message.currency,
        tuple(hop_from_wire(hop) for hop in message.hops),
        message.hop,
        message.budget_ms,
    )


def outcome_to_wire(outcome: Outcome) -> pb.ForwardReply:
    """What came of it."""
    return pb.ForwardReply(
        hold_ids=outcome.hold_ids,
        posted=outcome.posted,
        closed=outcome.closed,
        error_code=outcome.error_code,
        error_detail=outcome.error_detail,
        failed_node=outcome.failed_node,
        failed_link_from=outcome.failed_link[0],
        failed_link_to=outcome.failed_link[1],
    )


def outcome_from_wire(message: pb.ForwardReply) -> Outcome:
    """What came of it, as a node says that may say anything: its words are kept by the ledger, or not at all."""
    # A failure stays one, whatever it is called.
    code = name(message.error_code) or str(Code.INTERNAL) if message.error_code else ""
    return Outcome(
        tuple(message.hold_ids),
        message.posted,
        message.closed,
        code,
        note(message.error_detail),
        name(message.failed_node),
        (name(message.failed_link_from), name(message.failed_link_to)),
    )
