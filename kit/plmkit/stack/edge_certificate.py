"""Whether the edge shows a certificate that this CA signed."""

import asyncio
import ssl
from urllib.parse import urlsplit

from plmkit.console import ExitCode, KitError
from plmkit.kubectl import with_context

_PATIENCE_S = 5.0
_HTTPS = 443


def check_signed_by(authority: str, api_url: str, context: str | None) -> None:
    """Raise KitError unless the edge at this address proves itself by this CA alone, a text in PEM."""
    address = urlsplit(api_url)
    host = address.hostname or ""
    trust = ssl.create_default_context(cadata=authority)
    up = with_context("plm up", context)
    try:
        asyncio.run(_shake_hands(host, address.port or _HTTPS, trust))
    except ssl.SSLCertVerificationError as error:
        raise KitError(
            f"{api_url} still shows a certificate of another CA",
            f"{up}, and once the operator has signed anew, a few minutes later, the same again",
            ExitCode.CHECK_FAILED,
        ) from error
    except TimeoutError as error:
        # It has no words of its own.
        why = f"no answer within {_PATIENCE_S:.0f} s"
        raise _not_shown(api_url, why, up) from error
    except OSError as error:
        raise _not_shown(api_url, str(error), up) from error


def _not_shown(api_url: str, why: str, cure: str) -> KitError:
    what = f"{api_url} does not show its certificate: {why}"
    return KitError(what, cure, ExitCode.UNFIT_ENVIRONMENT)


async def _shake_hands(host: str, port: int, trust: ssl.SSLContext) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        _, writer = await asyncio.open_connection(host, port, ssl=trust)
    writer.transport.abort()
