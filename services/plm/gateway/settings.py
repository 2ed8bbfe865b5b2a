"""What the gateway is told from outside."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from plm.domain.graph import Entropy
from plm.stores.ledger import LedgerClientSettings
from plm.stores.nats import NatsSettings
from plm.transport.tls import TlsSettings


class GatewaySettings(BaseSettings):
    """Environment PLM_*, nested by a double underscore."""

    model_config = SettingsConfigDict(env_prefix="PLM_", env_nested_delimiter="__", frozen=True)

    tls: TlsSettings = TlsSettings()
    ledger: LedgerClientSettings = LedgerClientSettings()
    nats: NatsSettings = NatsSettings()
    peer_target: str = "node-{node_id}:7443"
    peer_targets: dict[str, str] = {}  # nodes that the template does not fit
    client_name: str = "edge"  # the service whose certificate may open connections
    api_keys_file: Path = Path("/var/run/plm/api-keys/keys.json")
    entropy: Entropy = Entropy.RAW
    payments_in_flight_max: int = 512
    debug_enabled: bool = False
    https_port: int = 8443
    http_port: int = 8080
    log_level: str = "info"
    drain_s: float = 16.0  # one payment's time, and a little

    def target_of(self, node_id: str) -> str:
        """Where a mesh node listens."""
        return self.peer_targets.get(node_id) or self.peer_target.format(node_id=node_id)
