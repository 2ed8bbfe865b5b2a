"""HTTPS under mutual TLS: only the edge's certificate opens a connection; a renewed one of ours is served at once."""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plm.domain import ids
from plm.gateway.settings import GatewaySettings
from plm.transport.identity import spiffe_name
from plm.transport.tls import TlsSettings, Version, read_version

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 5.0
_BACKLOG = 512


def identity_in(certificate: dict[str, Any] | None) -> str:
    """The SPIFFE name in a peer certificate as ssl.SSLObject.getpeercert() gives it, or the empty string."""
    names = (certificate or {}).get("subjectAltName", ())
    return spiffe_name([value.encode() for kind, value in names if kind == "URI"])


def protocol_for(client_name: str) -> type[asyncio.Protocol]:
    """An HTTP protocol that hangs up on every peer but this service."""
    expected = ids.service_spiffe(client_name)

    class OneClientProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn names the argument's type more widely
            tls = transport.get_extra_info("ssl_object")
            if tls is None or identity_in(tls.getpeercert()) != expected:
                log.warning("Turned a peer away", peer=transport.get_extra_info("peername"))
                transport.abort()
            super().connection_made(transport)

    return OneClientProtocol


def _context(tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    # Whoever resumes a session shows no certificate: nobody would ask whether its CA is trusted still.
    context.num_tickets = 0
    context.load_cert_chain(tls.directory / "tls.crt", tls.directory / "tls.key")
    context.load_verify_locations(tls.directory / "ca.crt")
    return context


def _replace(served: ssl.SSLContext, fresh: ssl.SSLContext) -> None:
    # A context can learn to trust another CA and can forget none. So each connection is handed the fresh one when the
    # client has said hello, with a server's name or without, and before any certificate is looked at.
    def hand_over(connection: ssl.SSLObject, _name: str | None, _served: ssl.SSLContext) -> None:
        connection.context = fresh

    served.sni_callback = hand_over


async def _reload(context: ssl.SSLContext, tls: TlsSettings, served: Version) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        # In the middle of a swap, or spoilt by hand: the next look may see it whole.
        with contextlib.suppress(OSError):
            # Read before it is loaded: what is swapped in between is loaded once more.
            version = read_version(tls)
            if version != served:
                _replace(context, _context(tls))
                served = version
                log.info("Loaded a renewed certificate")


class _Server(uvicorn.Server):
    """Says when it listens. Signals belong to the process, not to the server."""

    def __init__(self, config: uvicorn.Config, listening: asyncio.Event) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def serve(
    app: ASGIApp, settings: GatewaySettings, stop: asyncio.Event, listening: asyncio.Event
) -> None:
    """Serve until `stop`, then let what runs come to its end. `listening` is set while connections are taken."""
    tls = settings.tls
    config = uvicorn.Config(
        app,
        host="0.0.0.0",  # noqa: S104 - a pod's own address; policies and certificates say who may ask
        port=settings.https_port,
        http=protocol_for(settings.client_name),
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_s),
        server_header=False,
    )
    config.load()
    # Looked at before it is loaded: what is swapped in between counts as a change.
    served = read_version(tls)
    config.ssl = _context(tls)
    reloading = asyncio.create_task(_reload(config.ssl, tls, served))
    server = _Server(config, listening)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    listening.clear()
    server.should_exit = True
    await serving
    stopping.cancel()
    reloading.cancel()
    await asyncio.gather(reloading, stopping, return_exceptions=True)
