"""Who is calling: the SPIFFE name in the peer's certificate, and nothing the peer says of itself."""

from typing import Any

import grpc

from plm.domain import ids
from plm.domain.errors import Code, Refused

_SCHEME = "spiffe://"
_NODE_PREFIX = ids.node_spiffe("")


def spiffe_name(subject_alternative_names: list[bytes]) -> str:
    """The one SPIFFE name of our trust domain among a certificate's names; empty when there is not exactly one."""
    names = [name.decode("utf-8", "replace") for name in subject_alternative_names]
    spiffe = [name for name in names if name.startswith(_SCHEME)]
    if len(spiffe) != 1 or not spiffe[0].startswith(f"{_SCHEME}{ids.TRUST_DOMAIN}/"):
        return ""
    return spiffe[0]


def peer_identity(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """SPIFFE name of the caller, or the empty string."""
    names = context.auth_context().get("x509_subject_alternative_name", [])
    return spiffe_name(list(names))


def node_of(identity: str) -> str:
    """The node id in a SPIFFE name; empty when it names no node."""
    return identity.removeprefix(_NODE_PREFIX) if identity.startswith(_NODE_PREFIX) else ""


def require(identity: str, *allowed: str) -> None:
    """Raise Refused(forbidden) unless the caller is one of the allowed."""
    if not identity:
        raise Refused(Code.UNAUTHENTICATED, "the certificate carries no SPIFFE name of ours")
    if identity not in allowed:
        raise Refused(Code.FORBIDDEN, f"{identity} may not call this")
