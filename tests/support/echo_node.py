"""A node on a real loopback port under mutual TLS that does what the test says, with certificates as pods have them."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from plm.domain import ids
from plm.transport.identity import peer_identity
from plm.transport.server import GrpcServer
from plm.transport.tls import TlsSettings
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import NodeServicer, add_NodeServicer_to_server
from support.leaves import Authority, write_leaf

NODE_NAME = "node-b"
NODE_NAMES = (ids.node_spiffe("b"), NODE_NAME)
GATEWAY_NAMES = (ids.service_spiffe("gateway"), "gateway")


class Mounted:
    """A Secret as kubelet mounts it: files are links through `..data`, which is swapped in one step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions = 0
        folder.mkdir()

    @property
    def tls(self) -> TlsSettings:
        return TlsSettings(directory=self.folder)

    def issue(
        self, authority: Authority, names: Sequence[str], *, trusted: bytes | None = None
    ) -> int:
        """Mount a new leaf; the serial number of its certificate."""
        self._versions += 1
        version = self.folder / f"..version-{self._versions}"
        write_leaf(version, authority, names, trusted=trusted or authority.certificate)
        self.swap_to(version.name)
        return x509.load_pem_x509_certificate((version / "tls.crt").read_bytes()).serial_number

    def swap_to(self, version: str) -> None:
        """Let `..data` lead elsewhere, as one rename."""
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version)
        os.replace(fresh, self.folder / "..data")  # noqa: PTH105 - a link is renamed, not what it leads to
        for name in ("tls.crt", "tls.key", "ca.crt"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")


@dataclass
class EchoNode(NodeServicer):
    """Answers Forward by its `answer`; remembers who called."""

    answer: Callable[[], Coroutine[Any, Any, pb.ForwardReply]]
    callers: list[str] = field(default_factory=list)
    serials: list[int] = field(default_factory=list)  # of the certificates that they came with

    async def Forward(self, request: pb.ForwardRequest, context: Any) -> pb.ForwardReply:  # noqa: N802 - the protocol's
        self.callers.append(peer_identity(context))
        # Here, because a context is gone with its call.
        [pem] = context.auth_context()["x509_pem_cert"]
        self.serials.append(x509.load_pem_x509_certificate(pem).serial_number)
        return await self.answer()


@dataclass
class Listening:
    """A server that listens."""

    grpc: GrpcServer
    node: EchoNode

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.grpc.port}"


async def confirmed() -> pb.ForwardReply:
    """The answer of a node at the end of a route."""
    return pb.ForwardReply(hold_ids=["h"])


@asynccontextmanager
async def listening(tls: TlsSettings) -> AsyncIterator[Listening]:
    """The node on a free port of loopback."""
    server = GrpcServer(tls, 0, "127.0.0.1")
    node = EchoNode(confirmed)
    add_NodeServicer_to_server(node, server.server)
    await server.start()
    await server.set_serving(serving=True)
    try:
        yield Listening(server, node)
    finally:
        await server.drain(0)


async def served_serial(port: int, client: Path, alpn: str = "h2", host: str = "127.0.0.1") -> int:
    """Serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=str(client / "ca.crt"))
    context.load_cert_chain(client / "tls.crt", client / "tls.key")
    context.set_alpn_protocols([alpn])
    context.check_hostname = False
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    # Not in order: that waits for the server's own goodbye, and a test ends before.
    writer.transport.abort()
    return x509.load_der_x509_certificate(found).serial_number
