"""Domain values as HTTP bodies."""

from collections.abc import Sequence

from plm.domain.chain import Entry
from plm.domain.graph import WEIGHT_SCALE
from plm.domain.mesh import Link, Node
from plm.domain.money import SCALES, format_amount
from plm.domain.payments import Attempt, AttemptState, Payment
from plm.domain.routes import LeftOut, Quoter, Route
from plm.gateway import bodies
from plm.wire import plm_pb2 as pb


def _shown(minor: int, currency: str) -> str:
    """Rows that were tampered with may name any currency: minor units then, so that one can still look at them."""
    return format_amount(minor, currency) if currency in SCALES else str(minor)


def _route(attempt: Attempt) -> list[str]:
    return (
        [attempt.hops[0].from_node, *(hop.to_node for hop in attempt.hops)] if attempt.hops else []
    )


def payment(found: Payment) -> bodies.PaymentBody:
    """A receipt, from the ledger's record alone."""
    order = found.order
    posted = next((each for each in found.attempts if each.state is AttemptState.POSTED), None)
    return bodies.PaymentBody(
        payment_id=order.payment_id,
        state=found.state,
        from_node=order.from_node,
        to_node=order.to_node,
        amount=_shown(order.amount, order.currency),
        fee=_shown(posted.hops[0].amount - order.amount, order.currency) if posted else "",
        currency=order.currency,
        route=_route(posted) if posted else [],
        attempts=[attempt(each) for each in found.attempts],
        refusal_code=found.refusal_code,
        refusal_detail=found.refusal_detail,
        created_at_ms=found.created_at_ms,
        ended_at_ms=found.ended_at_ms,
    )


def attempt(found: Attempt) -> bodies.AttemptBody:
    """One try."""
    return bodies.AttemptBody(
        attempt=found.number,
        state=found.state,
        route=_route(found),
        reason=found.close_reason,
        failed_node=found.failed_node,
        opened_at_ms=found.opened_at_ms,
        ended_at_ms=found.ended_at_ms,
        holds=[
            bodies.HoldBody(
                hop=hold.hop,
                hold_id=hold.hold_id,
                state=hold.state,
                entry_seq=hold.entry_seq,
                entry_hash=hold.entry_hash.hex(),
            )
            for hold in found.holds
        ],
    )


def routes(
    quoter: Quoter, entropy: str, found: Sequence[Route], out: Sequence[LeftOut], currency: str
) -> bodies.RoutesBody:
    """Routes with their reasons."""
    return bodies.RoutesBody(
        graph_version=quoter.graph.version,
        entropy=entropy,
        routes=[_explained(route, currency) for route in found],
        left_out=[
            bodies.LeftOutBody(from_node=each.from_node, to_node=each.to_node, reason=each.reason)
            for each in out
        ],
    )


def _explained(route: Route, currency: str) -> bodies.RouteBody:
    steps = [
        bodies.StepBody(
            from_node=step.hop.from_node,
            to_node=step.hop.to_node,
            amount=_shown(step.hop.amount, currency),
            fee=_shown(step.fee, currency),
            entropy_bits=step.entropy_bits,
            weight=step.weight / WEIGHT_SCALE,
            latency_ms=step.hop.policy.latency_ms,
        )
        for step in route.steps
    ]
    return bodies.RouteBody(
        nodes=list(route.nodes),
        fee=_shown(route.fee, currency),
        weight=route.weight / WEIGHT_SCALE,
        steps=steps,
    )


def node(found: Node) -> bodies.NodeBody:
    """A node with its links."""
    return bodies.NodeBody(
        node_id=found.node_id,
        role=found.role,
        currency=found.currency,
        enabled=found.enabled,
        links=[_link(link) for link in found.links],
    )


def _link(found: Link) -> bodies.LinkBody:
    return bodies.LinkBody(
        to_node=found.to_node,
        enabled=found.enabled,
        base_fee=_shown(found.policy.base_fee, found.currency),
        fee_rate_ppm=found.policy.fee_rate_ppm,
        latency_ms=found.policy.latency_ms,
        declared_volume=_shown(found.declared_volume, found.currency),
        liquidity_volume=_shown(found.liquidity_volume, found.currency),
        version=found.version,
    )


def account(balance: pb.Balance, entries: Sequence[Entry], head_seq: int) -> bodies.AccountBody:
    """An account with a page of its entries."""
    currency = balance.currency
    return bodies.AccountBody(
        account_id=balance.account_id,
        owner=balance.owner,
        currency=currency,
        kind=balance.kind,
        posted=_shown(int(balance.posted), currency),
        held=_shown(int(balance.held), currency),
        available=_shown(int(balance.available), currency),
        head_seq=head_seq,
        entries=[entry(each) for each in entries],
    )


def entry(found: Entry) -> bodies.EntryBody:
    """One entry of the chain."""
    return bodies.EntryBody(
        seq=found.seq,
        hash=found.hash.hex(),
        prev_hash=found.prev_hash.hex(),
        version=found.version,
        transfer_id=found.draft.transfer_id,
        kind=found.draft.kind,
        debit=found.draft.debit,
        credit=found.draft.credit,
        amount=_shown(found.draft.amount, found.draft.currency),
        currency=found.draft.currency,
        ref=found.draft.ref,
        created_at_ms=found.created_at_ms,
        epoch=found.epoch,
    )


def verdict(reply: pb.VerifyReply) -> bodies.VerdictBody:
    """What a verification found."""
    return bodies.VerdictBody(
        ok=reply.ok,
        entries=reply.entries,
        head_seq=reply.head_seq,
        head_hash=reply.head_hash.hex(),
        anchored_seq=reply.anchored_seq,
        unanchored=reply.unanchored,
        anchors_unread=reply.anchors_unread,
        findings=[
            bodies.FindingBody(kind=each.kind, seq=each.seq, detail=each.detail)
            for each in reply.findings
        ],
        sums={currency: _shown(int(total), currency) for currency, total in reply.sums.items()},
        elapsed_ms=reply.elapsed_ms,
    )
