"""What the ledger service is told from outside."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from plm.stores.nats import NatsSettings
from plm.stores.postgres import PostgresSettings
from plm.transport.tls import TlsSettings


class LedgerSettings(BaseSettings):
    """Environment PLM_*, nested by a double underscore."""

    model_config = SettingsConfigDict(env_prefix="PLM_", env_nested_delimiter="__", frozen=True)

    postgres: PostgresSettings = PostgresSettings()
    nats: NatsSettings = NatsSettings()
    tls: TlsSettings = TlsSettings()
    grpc_port: int = 7443
    http_port: int = 8080
    log_level: str = "info"
    queue_max: int = 4096
    drain_s: float = 10.0
