"""What the two charts are told: their values, as pure functions of the configuration."""

from pathlib import Path
from typing import Any

from plminfra.config import StackConfig
from plminfra.endpoint import Endpoint
from plminfra.sizing import Profile

FOLDER = Path(__file__).resolve().parents[2] / "charts"
SERVICES = ("ledger", "gateway", "edge")


def operator_values(config: StackConfig, profile: Profile) -> dict[str, Any]:
    """For charts/plm-operator."""
    return {
        "image": config.images["operator"],
        "imagePullPolicy": config.image_pull_policy,
        "imagePullSecrets": [{"name": name} for name in config.image_pull_secrets],
        "nodeImage": config.images["services"],
        "debugEnabled": config.debug_enabled,
        "serviceCertificates": list(SERVICES),
        "edgeAddresses": list(config.edge_addresses),
        "resources": profile.size("operator").resources(),
        "nodeResources": profile.size("mesh-node").resources(),
    }


def services_values(
    config: StackConfig, profile: Profile, postgres: Endpoint, nats: Endpoint
) -> dict[str, Any]:
    """For charts/plm-services. The mesh itself is the chart's default: the demo's four nodes."""
    workloads = {
        name: {"resources": profile.size(name).resources()}
        for name in ("ledger", "gateway", "migrate")
    }
    return {
        "image": config.images["services"],
        "imagePullPolicy": config.image_pull_policy,
        "imagePullSecrets": [{"name": name} for name in config.image_pull_secrets],
        "debugEnabled": config.debug_enabled,
        "entropy": config.entropy,
        "postgres": {
            "host": postgres.host,
            "port": postgres.port,
            "superuserSecret": "pg-superuser",
            "ledgerSecret": "pg-ledger",
            "podLabels": postgres.labels,
        },
        "nats": {
            "url": f"nats://{nats.host}:{nats.port}",
            "port": nats.port,
            "podLabels": nats.labels,
        },
        "apiKeysSecret": "gateway-api-keys",
        **workloads,
    }
