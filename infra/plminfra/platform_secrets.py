"""Secrets that more than one component reads. Their values come encrypted from the stack's configuration."""

import pulumi
import pulumi_kubernetes as k8s

from plminfra import pods
from plminfra.config import StackConfig


def create(
    namespace: pulumi.Input[str], config: StackConfig, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """The CA, the ledger's password, and the API keys' hashes."""
    authority = {
        "tls.crt": config.secret("caCertificate"),
        "tls.key": config.secret("caKey"),
        "ca.crt": config.secret("caCertificate"),
    }
    contents = {
        "plm-ca": authority,
        "pg-ledger": {"password": config.secret("ledger")},
        "gateway-api-keys": {"keys.json": config.secret("apiKeysFile")},
    }
    return [
        k8s.core.v1.Secret(
            f"secret-{name}",
            metadata=pods.metadata(name, namespace, of="plm"),
            string_data=content,
            opts=opts,
        )
        for name, content in contents.items()
    ]
