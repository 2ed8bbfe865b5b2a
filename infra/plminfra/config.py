"""The stack's configuration, typed: the only reader of pulumi.Config. Types and defaults stand in Pulumi.yaml."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

IMAGES = ("services", "operator", "postgres", "nats", "caddy")
SECRETS = (
    "caCertificate",  # PEM; nodes and services get their leafs from it
    "caKey",  # PEM
    "postgresSuperuser",  # passwords
    "postgresReplication",
    "postgresRewind",
    "ledger",
    "apiKeysFile",  # what the gateway reads: salted hashes
)
_BY_DIGEST = re.compile("@sha256:[0-9a-f]{64}$")
_PLAIN = frozenset(
    {
        "profile",
        "namespace",
        "imagePullPolicy",
        "registry",
        "apiUrl",
        "edgeNodePort",
        "edgeAddresses",
        "edgeClients",
        "storageClass",
        "debugEnabled",
        "entropy",
        "images",
        "secrets",
    }
)


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Everything that differs from stack to stack."""

    profile: str
    namespace: str
    image_pull_policy: str
    api_url: str
    edge_node_port: int
    edge_addresses: tuple[str, ...]
    edge_clients: tuple[str, ...]
    storage_class: str
    debug_enabled: bool
    entropy: str
    images: Mapping[str, str]
    secrets: pulumi.Output[Mapping[str, str]]

    def __post_init__(self) -> None:
        missing = [name for name in IMAGES if name not in self.images]
        if missing:
            raise ValueError(f"plm:images lacks {', '.join(missing)}: run plm images")
        # A tag may mean another image tomorrow, and no update would carry that into a pod.
        loose = [name for name in IMAGES if not _BY_DIGEST.search(str(self.images[name]))]
        if loose:
            raise ValueError(f"plm:images names {', '.join(loose)} without a digest")

    def secret(self, name: str) -> pulumi.Output[str]:
        """One of SECRETS, marked as secret."""
        if name not in SECRETS:
            raise ValueError(f"{name} is none of {', '.join(SECRETS)}")
        return self.secrets.apply(lambda secrets: secrets[name])

    @staticmethod
    def load(config: pulumi.Config, keys: frozenset[str]) -> "StackConfig":
        """Read everything. `keys`: the full keys that are set; raises ValueError for one that nobody reads."""
        unknown = sorted(unknown_keys(keys))
        if unknown:
            known = ", ".join(sorted(_PLAIN))
            raise ValueError(f"unknown configuration {', '.join(unknown)}; known are {known}")
        return StackConfig(
            profile=config.require("profile"),
            namespace=config.require("namespace"),
            image_pull_policy=config.require("imagePullPolicy"),
            api_url=config.require("apiUrl"),
            edge_node_port=config.require_int("edgeNodePort"),
            edge_addresses=tuple(config.require_object("edgeAddresses")),
            edge_clients=tuple(config.require_object("edgeClients")),
            storage_class=config.get("storageClass") or "",
            debug_enabled=config.require_bool("debugEnabled"),
            entropy=config.require("entropy"),
            images=config.require_object("images"),
            secrets=config.require_secret_object("secrets"),
        )


def unknown_keys(keys: frozenset[str]) -> set[str]:
    """Keys of our namespace that nobody reads; those of providers are theirs."""
    return {key for key in keys if key.startswith("plm:") and key[len("plm:") :] not in _PLAIN}


def keys_of(environment: Mapping[str, str]) -> frozenset[str]:
    """The full keys that Pulumi handed to the program."""
    found: dict[str, Any] = json.loads(environment.get("PULUMI_CONFIG") or "{}")
    return frozenset(found)
