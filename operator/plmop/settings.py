"""What the operator is told from outside."""

from pathlib import Path
from typing import Annotated, Literal

from plm.transport.tls import TlsSettings
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from plmop.likeness import QUANTITY_PATTERN


def _number_as_text(value: object) -> object:
    """YAML reads `cpu: 1` as a number; Kubernetes takes it as the text."""
    return str(value) if type(value) in {int, float} else value


Quantity = Annotated[str, BeforeValidator(_number_as_text), Field(pattern=QUANTITY_PATTERN)]


class LedgerSettings(BaseModel):
    """Where the ledger is, which name its certificate must carry, and how long we wait for it."""

    model_config = ConfigDict(frozen=True)

    target: str = "ledger:7443"
    server_name: str = "ledger"
    timeout_s: PositiveFloat = 5.0


class LeaseSettings(BaseModel):
    """Leadership: one of several replicas acts. Handover takes at most duration_s + retry_s after a kill."""

    model_config = ConfigDict(frozen=True)

    duration_s: PositiveInt = 11
    renew_s: PositiveFloat = 2.0
    retry_s: PositiveFloat = 1.0


class OperatorSettings(BaseSettings):
    """Environment PLM_*, nested by a double underscore."""

    model_config = SettingsConfigDict(env_prefix="PLM_", env_nested_delimiter="__", frozen=True)

    namespace: str = "plm"
    pod_name: str = "plm-operator"

    node_image: str
    node_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    node_image_pull_secrets: tuple[str, ...] = ()
    node_service_account: str = "mesh-node"
    node_resources: dict[str, dict[str, Quantity]] = {
        "requests": {"cpu": "10m", "memory": "48Mi"},
        "limits": {"memory": "128Mi"},
    }
    node_queue_max: PositiveInt = 256
    node_port: PositiveInt = 7443
    node_target: str = "node-{node_id}:7443"
    debug_enabled: bool = False

    ledger: LedgerSettings = LedgerSettings()
    lease: LeaseSettings = LeaseSettings()
    # Our own certificate: written by ourselves, into memory that nobody else mounts.
    tls: TlsSettings = TlsSettings(directory=Path("/var/run/plm/tls"))

    service_certificates: tuple[str, ...] = ()
    edge_addresses: tuple[str, ...] = ()
    leaf_lifetime_s: PositiveInt = 3600
    # How long a new CA is trusted everywhere before anything is signed by it: longer than kubelet takes to
    # carry a changed Secret into every pod.
    trust_settle_s: PositiveFloat = 150.0

    workers_max: PositiveInt = 8
    resync_s: PositiveFloat = 60.0
    ledger_poll_s: PositiveFloat = 10.0
    watch_silence_s_max: PositiveFloat = 90.0
    stuck_after_s: PositiveFloat = 30.0

    http_port: int = 8080
    log_level: str = "info"

    @model_validator(mode="after")
    def _leaves_outlast_their_renewal(self) -> "OperatorSettings":
        # Renewed at two thirds; the rest must be enough for kubelet to carry the new one into every pod, and for a
        # resync to find what a stream has lost.
        needed_s = 3 * (self.trust_settle_s + self.resync_s)
        if self.leaf_lifetime_s < needed_s:
            raise ValueError(
                f"leaf_lifetime_s is {self.leaf_lifetime_s}, but a third of it must outlast trust_settle_s and "
                f"resync_s together: at least {needed_s:.0f}"
            )
        return self
