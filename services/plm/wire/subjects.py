"""Names on the bus: streams and subjects."""

LIQUIDITY_STREAM = "liquidity"
LIQUIDITY_SUBJECTS = "liquidity.updates.>"
ANCHOR_STREAM = "anchors"
ANCHOR_SUBJECT = "anchors.ledger"


def link_subject(from_node: str, to_node: str) -> str:
    """Where the state of one link is published."""
    return f"liquidity.updates.{from_node}.{to_node}"


def node_subject(node_id: str) -> str:
    """Where the state of one node is published."""
    return f"liquidity.updates.{node_id}"


def is_link_subject(subject: str) -> bool:
    """Whether a liquidity subject speaks of a link (else of a node). Node ids carry no dots."""
    return subject.count(".") == link_subject("a", "b").count(".")
