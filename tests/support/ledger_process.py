"""One `python -m plm.ledger` on loopback, and clients that speak to it under any certificate."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from plm.domain import ids
from plm.stores.ledger import LedgerClient, LedgerClientSettings
from plm.transport.channels import Channels
from plm.transport.tls import TlsSettings
from support.leaves import new_authority, write_leaf
from support.ledgers import Database
from support.mesh import Service
from support.ports import free_port

_IDENTITIES = {name: ids.service_spiffe(name) for name in ("ledger", "gateway", "operator")} | {
    f"node-{node_id}": ids.node_spiffe(node_id) for node_id in "abcd"
}


@dataclass
class LedgerProcess:
    """A process, its port, and the certificates that its CA issued."""

    service: Service
    folder: Path
    port: int

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[LedgerClient]:
        """A client with the certificate of `gateway`, `operator` or `node-a` to `node-d`."""
        channels = Channels(TlsSettings(directory=self.folder / name))
        settings = LedgerClientSettings(target=f"127.0.0.1:{self.port}", timeout_s=20.0)
        try:
            yield LedgerClient(channels, settings)
        finally:
            await channels.close()


@contextmanager
def running_ledger(database: Database, nats_url: str) -> Iterator[LedgerProcess]:
    """A ledger that leads. Its process may be killed and started again in the block."""
    with tempfile.TemporaryDirectory(prefix="plm-ledger-") as name:
        folder, authority = Path(name), new_authority()
        for leaf, spiffe in _IDENTITIES.items():
            write_leaf(folder / leaf, authority, (spiffe, leaf), trusted=authority.certificate)
        ledger, port, http_port = database.ledger, free_port(), free_port()
        environment = {
            "PLM_TLS__DIRECTORY": folder / "ledger",
            "PLM_GRPC_PORT": port,
            "PLM_HTTP_PORT": http_port,
            "PLM_NATS__URL": nats_url,
            "PLM_POSTGRES__HOST": ledger.host,
            "PLM_POSTGRES__PORT": ledger.port,
            "PLM_POSTGRES__DATABASE": ledger.database,
            "PLM_POSTGRES__PASSWORD_FILE": ledger.password_file,
        }
        texts = {key: str(value) for key, value in environment.items()}
        service = Service("plm.ledger", texts, folder / "log", http_port)
        service.start()
        try:
            service.wait_ready()
            yield LedgerProcess(service, folder, port)
        finally:
            service.stop()
