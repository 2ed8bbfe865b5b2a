"""Where people reach the edge of a cluster that is not the embedded one: nobody but its owner knows. Pure."""

import ipaddress
from urllib.parse import urlsplit

from plmkit.console import ExitCode, KitError
from plmkit.kubectl import with_context

# Kubernetes gives Services a port of every node from these alone.
_NODE_PORTS = range(30000, 32768)
_LOCALHOST = "localhost"


def check_given(api_url: str, context: str | None) -> None:
    """Raise KitError where another cluster's stack would point at the embedded cluster's address."""
    if context is not None and not api_url:
        raise KitError(
            f"the stack of {context} does not say where people reach its edge",
            with_context("plm stack init", context)
            + " --registry REGISTRY/PATH --api-url https://ADDRESS:30443",
            ExitCode.WRONG_USAGE,
        )


def addresses_of(api_url: str) -> list[str]:
    """What the edge's certificate must name for this URL, beside localhost. Raises KitError where it cannot."""
    try:
        parts = urlsplit(api_url)
        if parts.scheme == "https" and parts.port != 0:
            is_local = parts.hostname == _LOCALHOST
            return [] if is_local else [str(ipaddress.ip_address(parts.hostname or ""))]
    except ValueError:
        pass
    raise KitError(
        f"{api_url} is no address of an edge: its certificate names addresses of nodes, and localhost",
        "--api-url https://ADDRESS:30443, or https://localhost:PORT behind kubectl port-forward",
        ExitCode.WRONG_USAGE,
    )


def node_port_of(api_url: str) -> int | None:
    """The port at which the edge must listen for this URL, as it names a node's; None where something leads there."""
    parts = urlsplit(api_url)
    is_node_s = parts.port in _NODE_PORTS and parts.hostname != _LOCALHOST
    return parts.port if is_node_s else None
