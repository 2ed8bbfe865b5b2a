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
# A Docker configuration with the login by which pods pull images; only where the registry asks for one.
REGISTRY_LOGIN = "registryLogin"
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
ENTROPIES = ("raw", "normalised")
NODE_PORTS = range(30000, 32768)  # what Kubernetes gives out where nobody told it otherwise
_BY_DIGEST = re.compile("@sha256:[0-9a-f]{64}$")
_PLAIN = frozenset(
    {
        "profile",
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
    has_registry_login: bool

    def __post_init__(self) -> None:
        _check("imagePullPolicy", self.image_pull_policy, PULL_POLICIES)
        _check("entropy", self.entropy, ENTROPIES)
        if self.edge_node_port not in NODE_PORTS:
            raise ValueError(
                f"plm:edgeNodePort is {self.edge_node_port};"
                f" take one from {NODE_PORTS[0]} to {NODE_PORTS[-1]}"
            )
        missing = [name for name in IMAGES if name not in self.images]
        if missing:
            raise ValueError(f"plm:images lacks {', '.join(missing)}: plm up builds and names them")
        # A tag may mean another image tomorrow, and no update would carry that into a pod.
        loose = [name for name in IMAGES if not _BY_DIGEST.search(str(self.images[name]))]
        if loose:
            raise ValueError(f"plm:images names {', '.join(loose)} without a digest")

    @property
    def image_pull_secrets(self) -> tuple[str, ...]:
        """The names of the Secrets by which every pod pulls its image; none where the registry asks nobody."""
        return ("registry-login",) if self.has_registry_login else ()

    def secret(self, name: str) -> pulumi.Output[str]:
        """One of SECRETS, or the REGISTRY_LOGIN of a stack that has one, marked as secret."""
        known = (*SECRETS, REGISTRY_LOGIN) if self.has_registry_login else SECRETS
        if name not in known:
            raise ValueError(f"{name} is none of {', '.join(known)}")
        return self.secrets.apply(lambda secrets: secrets[name])

    @staticmethod
    def load(config: pulumi.Config, keys: frozenset[str], secrets: frozenset[str]) -> "StackConfig":
        """Read everything. `keys`: the full keys that are set. `secrets`: the names of the secrets that are.

        Raises ValueError for a key that nobody reads, and for a secret that is not there.
        """
        unknown = sorted(unknown_keys(keys))
        if unknown:
            known = ", ".join(sorted(_PLAIN))
            raise ValueError(f"unknown configuration {', '.join(unknown)}; known are {known}")
        missing = ", ".join(name for name in SECRETS if name not in secrets)
        if missing:
            # Here, and not when one is asked for: by then half of the platform stands. And as a whole:
            # `pulumi config set --path` would replace all the others.
            raise ValueError(
                f"plm:secrets lacks {missing}: add it to the JSON that `pulumi config get plm:secrets`"
                " prints, and hand all of it to `pulumi config set plm:secrets --secret`"
            )
        return StackConfig(
            profile=config.require("profile"),
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
            has_registry_login=REGISTRY_LOGIN in secrets,
        )


def _check(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"plm:{key} is {value!r}; known are {', '.join(known)}")


def unknown_keys(keys: frozenset[str]) -> set[str]:
    """Keys of our namespace that nobody reads; those of providers are theirs."""
    return {key for key in keys if key.startswith("plm:") and key[len("plm:") :] not in _PLAIN}


def keys_of(environment: Mapping[str, str]) -> frozenset[str]:
    """The full keys that Pulumi handed to the program."""
    found: dict[str, Any] = json.loads(environment.get("PULUMI_CONFIG") or "{}")
    return frozenset(found)


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """The names of the secrets that Pulumi handed to the program. An empty one is none: it would let in anybody."""
    given: dict[str, str] = json.loads(environment.get("PULUMI_CONFIG") or "{}")
    values: dict[str, str] = json.loads(given.get("plm:secrets") or "{}")
    return frozenset(name for name, value in values.items() if value)
