"""Where people reach the edge of a cluster that is not the embedded one: nobody but its owner knows. Pure."""

import ipaddress
from urllib.parse import urlsplit

from plmkit.console import ExitCode, KitError


def check_given(api_url: str, context: str | None) -> None:
    """Raise KitError where another cluster's stack would point at the embedded cluster's address."""
    if context is not None and not api_url:
        raise KitError(
            f"the stack of {context} does not say where people reach its edge",
            f"plm stack init --context {context} --registry REGISTRY/PATH --api-url https://ADDRESS:30443",
            ExitCode.WRONG_USAGE,
        )


def addresses_of(api_url: str) -> list[str]:
    """What the edge's certificate must name for this URL, beside localhost. Raises KitError where it cannot."""
    try:
        parts = urlsplit(api_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if host and port != 0 and parts.scheme == "https":
        if host == "localhost":
            return []
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
    raise KitError(
        f"{api_url} is no address of an edge: its certificate names addresses of nodes, and localhost",
        "--api-url https://ADDRESS:30443, or https://localhost:PORT behind kubectl port-forward",
        ExitCode.WRONG_USAGE,
    )
