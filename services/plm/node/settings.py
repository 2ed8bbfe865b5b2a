"""What a mesh node is told from outside."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from plm.stores.ledger import LedgerClientSettings
from plm.transport.tls import TlsSettings


class NodeSettings(BaseSettings):
    """Environment PLM_*, nested by a double underscore."""

    model_config = SettingsConfigDict(env_prefix="PLM_", env_nested_delimiter="__", frozen=True)

    node_id: str
    ledger: LedgerClientSettings = LedgerClientSettings()
    tls: TlsSettings = TlsSettings()
    peer_target: str = "node-{node_id}:7443"
    peer_targets: dict[str, str] = {}  # nodes that the template does not fit
    workers_max: int = 32
    queue_max: int = 256
    debug_enabled: bool = False
    grpc_port: int = 7443
    http_port: int = 8080
    log_level: str = "info"
    drain_s: float = 5.0

    def target_of(self, node_id: str) -> str:
        """Where a peer listens."""
        return self.peer_targets.get(node_id) or self.peer_target.format(node_id=node_id)
