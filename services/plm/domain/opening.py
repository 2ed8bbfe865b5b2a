"""Which route an attempt may be opened over, and whether a hop of it still is as it was quoted."""

from plm.domain import ids
from plm.domain.books import Books, check_amount
from plm.domain.errors import Code, Conflict, Refused
from plm.domain.fees import hop_amounts, link_fee
from plm.domain.orders import HOPS_MAX, Hop, PaymentOrder


def check_route(books: Books, order: PaymentOrder, hops: tuple[Hop, ...]) -> None:
    """Raise Refused for what is no route of this payment, Conflict(policy_changed) for what is none any more."""
    if not 0 < len(hops) <= HOPS_MAX:
        raise Refused(Code.INVALID_REQUEST, f"a route has 1 to {HOPS_MAX} hops")
    stops = [hops[0].from_node, *(hop.to_node for hop in hops)]
    starts = [hop.from_node for hop in hops]
    if starts != stops[:-1] or stops[0] != order.from_node or stops[-1] != order.to_node:
        raise Refused(Code.INVALID_REQUEST, "the hops do not lead from sender to receiver")
    if len(set(stops)) != len(stops):
        raise Refused(Code.INVALID_REQUEST, "a route visits no node twice")
    fees = []
    for hop in hops:
        check_policy(books, hop)
        _check_far_end(books, hop)
        fees.append(link_fee(hop.policy.base_fee, hop.policy.fee_rate_ppm, order.amount))
    if [hop.amount for hop in hops] != hop_amounts(order.amount, fees):
        raise Refused(Code.INVALID_AMOUNT, "the hops' amounts are not amount and fees")
    for hop in hops:
        check_amount(hop.amount)


def check_policy(books: Books, hop: Hop) -> None:
    """Raise Conflict(policy_changed) unless the link is in the graph with the policy that was quoted."""
    link = books.links.get((hop.from_node, hop.to_node))
    if link is None or not link.enabled or link.policy != hop.policy:
        raise _changed(hop)


def _check_far_end(books: Books, hop: Hop) -> None:
    """The far end is in the mesh and its account open: a hop that cannot be posted is not worth a hold."""
    node = books.nodes.get(hop.to_node)
    credit = books.accounts.get(ids.link_account(hop.to_node, hop.from_node))
    if node is None or not node.enabled or credit is None or credit.closed:
        raise _changed(hop)


def _changed(hop: Hop) -> Conflict:
    return Conflict(
        Code.POLICY_CHANGED, f"link {hop.from_node}-{hop.to_node} is not as quoted any more"
    )
