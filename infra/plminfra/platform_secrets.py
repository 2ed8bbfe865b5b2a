"""Secrets that more than one component reads. Their values come encrypted from the stack's configuration."""

import pulumi
import pulumi_kubernetes as k8s

from plminfra import pods
from plminfra.config import REGISTRY_LOGIN, StackConfig


def create(
    namespace: pulumi.Input[str], config: StackConfig, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """The CA, the ledger's password, the API keys' hashes, and the login by which images are pulled, if any."""
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
    types = {}
    for name in config.image_pull_secrets:
        contents[name] = {".dockerconfigjson": config.secret(REGISTRY_LOGIN)}
        types[name] = "kubernetes.io/dockerconfigjson"
    return [
        k8s.core.v1.Secret(
            f"secret-{name}",
            metadata=pods.metadata(name, namespace, of="plm"),
            type=types.get(name),
            string_data=content,
            opts=opts,
        )
        for name, content in contents.items()
    ]
