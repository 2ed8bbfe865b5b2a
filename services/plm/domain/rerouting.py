"""What a failed attempt teaches: whom to leave out in the next one, and when there is no next one. Pure."""

from collections import Counter
from collections.abc import Sequence

from plm.domain.errors import Code
from plm.domain.orders import Hop
from plm.domain.relay import Outcome
from plm.domain.routes import Ban, Route

# Another route, or a later moment, may do better. Every other code is an answer about the payment itself.
_WORTH_ANOTHER = frozenset(
    {
        Code.INSUFFICIENT_FUNDS,
        Code.POLICY_CHANGED,
        Code.UNKNOWN_ACCOUNT,
        Code.ACCOUNT_CLOSED,
        Code.UNKNOWN_NODE,
        Code.UNAUTHENTICATED,
        Code.FORBIDDEN,
        Code.ATTEMPT_CLOSED,
        Code.NODE_UNREACHABLE,
        Code.OVERLOADED,
        Code.DEADLINE_EXCEEDED,
        Code.LEDGER_UNAVAILABLE,
        Code.NOT_LEADER,
        Code.NO_ROUTE,
        Code.INTERNAL,
    }
)


_DEFINITE = frozenset(Code) - _WORTH_ANOTHER


def is_definite(code: str) -> bool:
    """Whether this answer of the ledger's says that no route will ever carry the payment.

    Of the ledger's alone: a node may be mistaken, or lie. A code that we do not know says nothing.
    """
    return code in _DEFINITE


def unreachable(route: Route, code: Code, detail: str) -> Outcome:
    """What to make of a first node that gave no answer."""
    return Outcome(error_code=code, error_detail=detail, failed_node=route.nodes[0])


def learn(ban: Ban, outcome: Outcome, hops: Sequence[Hop]) -> Ban:
    """The ban of the next attempt: what failed is left out, the node where one is named, else the link.

    What is not on the route cannot have failed on it: whoever names it is not believed.
    """
    nodes = {outcome.failed_node} & {node for hop in hops for node in (hop.from_node, hop.to_node)}
    links = {outcome.failed_link} & {(hop.from_node, hop.to_node) for hop in hops}
    return Ban(nodes=ban.nodes | nodes, links=ban.links | links)


def way_to_failed(outcome: Outcome, hops: Sequence[Hop]) -> frozenset[tuple[str, str]]:
    """The link of a route that leads to the node which is said to have failed; none leads to the first."""
    return frozenset(
        (hop.from_node, hop.to_node) for hop in hops if hop.to_node == outcome.failed_node
    )


def doubting(ban: Ban, ways: frozenset[tuple[str, str]]) -> Ban:
    """The same ban with less faith: who failed by one way alone may be well, and that way broken, or a lie.

    Who failed by two ways stays out: attempts are few.
    """
    counted = Counter(to_node for _, to_node in ways)
    single = frozenset(way for way in ways if counted[way[1]] == 1)
    return Ban(nodes=ban.nodes - {to_node for _, to_node in single}, links=ban.links | single)
