"""The mesh as real processes on loopback: Postgres, NATS, ledger, nodes and gateway under mutual TLS, no cluster."""

import asyncio
import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from plm.domain import ids
from plm.transport.channels import Channels
from plm.transport.tls import TlsSettings
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import LedgerStub
from support.leaves import Authority, new_authority, write_leaf
from support.nats import NatsServer, throwaway_nats
from support.ports import free_port
from support.postgres import PostgresServer, throwaway_postgres
from support.waiting import wait_until

API_KEY = "operator-key-of-the-test"
CLIENT_KEY = "client-key-of-the-test"
_START_S = 90.0  # seven processes begin at once


@dataclass(frozen=True)
class Link:
    """A link to register; amounts in minor units."""

    to: str
    fee: int
    volume: int = 100_000_000
    rate_ppm: int = 0


# A→B, A→C, B→D, C→D with 1 000 000.00 USD each: domain-mesh's demo.
DEMO: dict[str, tuple[Link, ...]] = {
    "a": (Link("b", 100), Link("c", 100)),
    "b": (Link("d", 100),),
    "c": (Link("d", 300),),
    "d": (),
}


@dataclass
class Service:
    """One `python -m plm.<module>` with its environment."""

    module: str
    environment: Mapping[str, str]
    log: Path
    http_port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start; `wait_ready` says when it serves."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            url = f"http://127.0.0.1:{self.http_port}/readyz"
            return httpx.get(url, trust_env=False, timeout=2).is_success
        except httpx.TransportError:
            return False

    def wait_ready(self) -> None:
        wait_until(self.is_ready, _START_S, f"{self.module} is ready")

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=30)

    def stop(self) -> None:
        """SIGTERM, and its exit code must be good."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


@dataclass
class Mesh:
    """All processes of one mesh."""

    folder: Path
    authority: Authority
    postgres: PostgresServer
    nats: NatsServer
    ledger: Service
    gateway: Service
    ledger_port: int
    https_port: int
    nodes: dict[str, Service] = field(default_factory=dict)

    def tls(self, name: str) -> Path:
        """The folder of a certificate that this mesh issued."""
        return self.folder / "tls" / name

    def tls_context(self, name: str) -> ssl.SSLContext:
        """What a client needs that shows this certificate."""
        context = ssl.create_default_context(cafile=str(self.tls(name) / "ca.crt"))
        context.check_hostname = False
        context.load_cert_chain(self.tls(name) / "tls.crt", self.tls(name) / "tls.key")
        return context

    @contextmanager
    def client(self, key: str = API_KEY) -> Iterator[httpx.Client]:
        """An HTTP client with the edge's certificate."""
        with httpx.Client(
            base_url=f"https://127.0.0.1:{self.https_port}",
            verify=self.tls_context("edge"),
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=30,
        ) as client:
            yield client

    def pay(
        self, key: str, amount: str = "10000.00", ends: tuple[str, str] = ("a", "d")
    ) -> httpx.Response:
        """One payment."""
        body = {"from": ends[0], "to": ends[1], "amount": amount, "currency": "USD"}
        with self.client() as client:
            return client.post("/v1/payments", json=body, headers={"Idempotency-Key": key})

    def get(self, path: str) -> Any:
        """A good answer's JSON."""
        with self.client() as client:
            response = client.get(path)
        assert response.is_success, response.text
        return response.json()

    def verify(self) -> Any:
        """The ledger's verdict on itself."""
        with self.client() as client:
            response = client.post("/v1/ledger/verify")
        assert response.is_success, response.text
        return response.json()


async def declare(mesh: Mesh, node_id: str, link: Link, generation: int) -> None:
    """Declare one link anew, as the operator does."""
    async with _as_operator(mesh) as stub:
        await stub.RegisterLink(
            pb.RegisterLinkRequest(
                from_node=node_id, to_node=link.to, declared_volume=str(link.volume),
                policy=pb.LinkPolicy(base_fee=str(link.fee), fee_rate_ppm=link.rate_ppm),
                object_uid=f"uid-{node_id}", generation=generation,
            )
        )  # fmt: skip


@asynccontextmanager
async def _as_operator(mesh: Mesh) -> AsyncIterator[Any]:
    channels = Channels(TlsSettings(directory=mesh.tls("operator")))
    yield LedgerStub(channels.channel(f"127.0.0.1:{mesh.ledger_port}", "ledger"))
    await channels.close()


async def _register(mesh: Mesh, links: Mapping[str, Sequence[Link]]) -> None:
    async with _as_operator(mesh) as stub:
        for node_id, outgoing in links.items():
            await stub.RegisterNode(
                pb.RegisterNodeRequest(
                    node_id=node_id, role="hub", currency="USD", object_uid=f"uid-{node_id}",
                    generation=1, links_to=[link.to for link in outgoing],
                )
            )  # fmt: skip
    for node_id, outgoing in links.items():
        for link in outgoing:
            await declare(mesh, node_id, link, 1)


def _keys_file(folder: Path) -> Path:
    def entry(client_id: str, role: str, key: str, nodes: list[str]) -> dict[str, object]:
        digest = hashlib.sha256(b"\x01\x02" + key.encode()).hexdigest()
        return {"client_id": client_id, "role": role, "salt": "0102", "key_sha256": digest, "nodes": nodes}  # fmt: skip

    clients = [
        entry("operator", "operator", API_KEY, []),
        entry("shop", "client", CLIENT_KEY, ["b"]),
    ]
    path = folder / "keys.json"
    path.write_text(json.dumps({"clients": clients}))
    return path


def _issue(folder: Path, authority: Authority, nodes: Sequence[str]) -> None:
    (folder / "tls").mkdir()
    names = {name: ids.service_spiffe(name) for name in ("ledger", "gateway", "operator", "edge")}
    names |= {f"node-{node_id}": ids.node_spiffe(node_id) for node_id in nodes}
    for name, spiffe in names.items():
        write_leaf(folder / "tls" / name, authority, (spiffe, name), trusted=authority.certificate)


@contextmanager
def running_mesh(links: Mapping[str, Sequence[Link]] | None = None) -> Iterator[Mesh]:
    """A mesh that serves, its nodes registered. Everything is gone when the block ends."""
    links = DEMO if links is None else links
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plm-mesh-")))
        postgres = stack.enter_context(throwaway_postgres())
        nats = stack.enter_context(throwaway_nats())
        authority = new_authority()
        _issue(folder, authority, list(links))
        ports = {node_id: free_port() for node_id in links}
        mesh = _plan(folder, authority, postgres, nats, ports)
        services = [mesh.ledger, *mesh.nodes.values(), mesh.gateway]
        for service in services:
            service.start()
            stack.callback(service.stop)
        mesh.ledger.wait_ready()
        asyncio.run(_register(mesh, links))
        for service in services:
            service.wait_ready()
        count = sum(len(outgoing) for outgoing in links.values())
        wait_until(lambda: _links_seen(mesh) == count, _START_S, "the gateway knows all links")
        yield mesh


def _links_seen(mesh: Mesh) -> int:
    nodes = mesh.get("/v1/nodes")["nodes"]
    return sum(len(node["links"]) for node in nodes)


def _plan(
    folder: Path,
    authority: Authority,
    postgres: PostgresServer,
    nats: NatsServer,
    ports: Mapping[str, int],
) -> Mesh:
    ledger_port, https_port = free_port(), free_port()
    targets = json.dumps({node_id: f"127.0.0.1:{port}" for node_id, port in ports.items()})

    def service(name: str, module: str, **environment: object) -> Service:
        http_port = free_port()
        common = {
            "PLM_TLS__DIRECTORY": folder / "tls" / name,
            "PLM_HTTP_PORT": http_port,
            "PLM_LEDGER__TARGET": f"127.0.0.1:{ledger_port}",
            "PLM_NATS__URL": nats.url,
            "PLM_PEER_TARGETS": targets,
            "PLM_DEBUG_ENABLED": "true",
        }
        texts = {key: str(value) for key, value in {**common, **environment}.items()}
        return Service(module, texts, folder / f"{name}.log", http_port)

    settings = postgres.ledger
    ledger = service(
        "ledger", "plm.ledger", PLM_GRPC_PORT=ledger_port,
        PLM_POSTGRES__HOST=settings.host, PLM_POSTGRES__PORT=settings.port,
        PLM_POSTGRES__PASSWORD_FILE=settings.password_file,
    )  # fmt: skip
    gateway = service(
        "gateway", "plm.gateway", PLM_HTTPS_PORT=https_port, PLM_API_KEYS_FILE=_keys_file(folder)
    )
    nodes = {
        node_id: service(f"node-{node_id}", "plm.node", PLM_NODE_ID=node_id, PLM_GRPC_PORT=port)
        for node_id, port in ports.items()
    }
    return Mesh(folder, authority, postgres, nats, ledger, gateway, ledger_port, https_port, nodes)
