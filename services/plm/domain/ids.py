"""Names of things: node ids, account ids, payment ids, SPIFFE names. One function per pair of ways to write them."""

import hashlib
import re

from plm.domain.errors import Code, Refused

TRUST_DOMAIN = "plm.local"

_NODE_ID = re.compile(r"[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?", re.ASCII)


def check_node_id(text: str) -> str:
    """The text itself when it can name a node (a DNS label of at most 40 characters). Raises Refused."""
    if _NODE_ID.fullmatch(text) is None:
        raise Refused(
            Code.INVALID_REQUEST,
            f"{text!r} is no node id: lower-case letters, digits and '-', starting with a letter, at most 40",
        )
    return text


def link_account(from_node: str, to_node: str) -> str:
    """The account that holds from_node's money on its link to to_node."""
    return f"link/{from_node}/{to_node}"


def external_account(currency: str) -> str:
    """Where money of a currency comes from and goes to; the only account that may be negative."""
    return f"external/{currency}"


# No client's transfer may be named so: a later registration would find its own name taken.
FUNDING = "fund/"


def funding_id(from_node: str, to_node: str, version: int) -> str:
    """The transfer that brings a link's money to what was declared. Unique for ever: a version only grows."""
    return f"{FUNDING}{from_node}/{to_node}/{version}"


def payment_id(client_id: str, idempotency_key: str) -> str:
    """Deterministic: the same client and key name the same payment for ever, whatever API key signed the request."""
    digest = hashlib.sha256(f"{len(client_id)}:{client_id}{idempotency_key}".encode()).hexdigest()
    return f"pay_{digest[:32]}"


def hold_id(payment: str, attempt: int, hop: int) -> str:
    """A hold's id is its place, so taking it twice is taking it once."""
    return f"{payment}/{attempt}/{hop}"


def node_spiffe(node_id: str) -> str:
    """SPIFFE name in the certificate of a mesh node."""
    return f"spiffe://{TRUST_DOMAIN}/node/{node_id}"


def service_spiffe(service: str) -> str:
    """SPIFFE name in the certificate of a service (gateway, ledger, operator, edge)."""
    return f"spiffe://{TRUST_DOMAIN}/service/{service}"
