"""The demo mesh as commands to a ledger: A pays D over B, over C, or straight over neither."""

from itertools import pairwise

from plm.domain import ids
from plm.domain.deciding import Command
from plm.domain.fees import hop_amounts, link_fee
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.orders import (
    AttemptOrder,
    HoldOrder,
    Hop,
    LinkOrder,
    NodeOrder,
    PaymentOrder,
    PostOrder,
)

VOLUME = 100_000_000
POLICIES = {
    ("a", "b"): LinkPolicy(0),
    ("a", "c"): LinkPolicy(0, 0, 5),
    ("b", "d"): LinkPolicy(100),
    ("c", "d"): LinkPolicy(300, 10, 7),
}
NODES = "abcd"
BODY = bytes(32)


def registration(node_id: str, generation: int = 1) -> Registration:
    """As the operator names the state of a node's object."""
    return Registration(f"uid-{node_id}", generation)


def node_order(node_id: str, generation: int = 1, currency: str = "USD") -> NodeOrder:
    """A node with all links it has in the demo mesh."""
    links = tuple(to_node for from_node, to_node in POLICIES if from_node == node_id)
    return NodeOrder(node_id, "hub", currency, registration(node_id, generation), links)


def link_order(
    from_node: str, to_node: str, volume: int = VOLUME, generation: int = 1
) -> LinkOrder:
    """A link of the demo mesh with a declared volume."""
    policy = POLICIES[from_node, to_node]
    return LinkOrder(from_node, to_node, policy, volume, registration(from_node, generation))


def founding(volume: int = VOLUME) -> list[Command]:
    """Commands that make the mesh. E is in another currency and has no links."""
    nodes: list[Command] = [node_order(node_id) for node_id in NODES]
    return [
        *nodes,
        node_order("e", currency="EUR"),
        *(link_order(*key, volume) for key in POLICIES),
    ]


def hops_over(stops: str, amount: int) -> tuple[Hop, ...]:
    """Hops of a route such as "abd", as a gateway quotes them."""
    keys = list(pairwise(stops))
    fees = [link_fee(POLICIES[key].base_fee, POLICIES[key].fee_rate_ppm, amount) for key in keys]
    moved = hop_amounts(amount, fees)
    return tuple(Hop(*key, each, POLICIES[key]) for key, each in zip(keys, moved, strict=True))


def payment_order(payment_id: str, amount: int = 1000) -> PaymentOrder:
    """A pays D."""
    return PaymentOrder(payment_id, "client", BODY, "a", "d", amount, "USD")


def attempt_order(
    payment_id: str, number: int = 1, stops: str = "abd", amount: int = 1000
) -> AttemptOrder:
    """One try over a route."""
    return AttemptOrder(payment_id, number, hops_over(stops, amount), 5_000)


def hold_order(payment_id: str, number: int, hop: int, stops: str = "abd") -> HoldOrder:
    """The hold that the owner of a hop takes."""
    return HoldOrder(payment_id, number, hop, stops[hop])


def post_order(payment_id: str, number: int = 1, stops: str = "abd") -> PostOrder:
    """The first node posts all holds of an attempt."""
    holds = tuple(ids.hold_id(payment_id, number, hop) for hop in range(len(stops) - 1))
    return PostOrder(payment_id, number, holds, stops[0])


def whole_payment(payment_id: str, stops: str = "abd", amount: int = 1000) -> list[Command]:
    """Everything it takes to settle a payment at the first attempt."""
    holds = [hold_order(payment_id, 1, hop, stops) for hop in range(len(stops) - 1)]
    return [
        payment_order(payment_id, amount),
        attempt_order(payment_id, 1, stops, amount),
        *holds,
        post_order(payment_id, 1, stops),
    ]
