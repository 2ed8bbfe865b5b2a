"""Caddy with the Caddyfile of the checkout's root, behind a NodePort."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from plminfra import pods
from plminfra.sizing import Size

PORT = 8443
PROBE_PORT = 8080
USER = 65532
NAME = "edge"
CADDYFILE = Path(__file__).resolve().parents[2] / "Caddyfile"


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """The certificate is the operator's Secret `edge-tls`."""

    namespace: pulumi.Input[str]
    image: str
    image_pull_policy: str
    size: Size
    node_port: int


class Edge(pulumi.ComponentResource):
    """The door for people."""

    def __init__(
        self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("plm:edge:Edge", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        caddyfile = CADDYFILE.read_text()
        configuration = k8s.core.v1.ConfigMap(
            f"{name}-configuration",
            metadata=pods.metadata(NAME, args.namespace, of=NAME),
            data={"Caddyfile": caddyfile},
            opts=child,
        )
        k8s.core.v1.Service(
            f"{name}-service",
            metadata=pods.metadata(NAME, args.namespace, of=NAME, **pods.SKIP_AWAIT),
            spec={
                "type": "NodePort",
                # Keeps the client's address: policies admit by it.
                "external_traffic_policy": "Local",
                "selector": pods.selector(NAME),
                "ports": [
                    {
                        "name": "https",
                        "port": PORT,
                        "target_port": PORT,
                        "node_port": args.node_port,
                    }
                ],
            },
            opts=child,
        )
        k8s.apps.v1.Deployment(
            f"{name}-pods-set",
            metadata=pods.metadata(NAME, args.namespace, of=NAME, **pods.PATIENCE),
            spec={
                "replicas": 1,
                "strategy": {"rolling_update": {"max_unavailable": 0, "max_surge": 1}},
                "selector": {"match_labels": pods.selector(NAME)},
                "template": {
                    "metadata": {
                        "labels": pods.labels(NAME),
                        # A changed Caddyfile rolls the pods: Caddy reads it when it starts.
                        "annotations": {
                            "plm.dev/caddyfile": sha256(caddyfile.encode()).hexdigest()
                        },
                    },
                    "spec": {
                        "automount_service_account_token": False,
                        "termination_grace_period_seconds": 25,
                        "security_context": pods.pod_security(USER),
                        "containers": [_container(args)],
                        "volumes": [
                            {
                                "name": "configuration",
                                "config_map": {"name": configuration.metadata["name"]},
                            },
                            {
                                "name": "tls",
                                "secret": {"secret_name": "edge-tls", "default_mode": 0o440},
                            },
                            {"name": "tmp", "empty_dir": {}},
                        ],
                    },
                },
            },
            opts=child,
        )
        self.register_outputs({})


def _container(args: EdgeArgs) -> pods.Manifest:
    return {
        "name": NAME,
        "image": args.image,
        "image_pull_policy": args.image_pull_policy,
        "args": ["run", "--config", "/conf/Caddyfile", "--adapter", "caddyfile"],
        "security_context": pods.container_security(),
        "env": [
            {"name": name, "value": "/tmp"}  # noqa: S108 - a volume of the pod's own
            for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
        ],
        "ports": [
            {"name": "https", "container_port": PORT},
            {"name": "probes", "container_port": PROBE_PORT},
        ],
        "startup_probe": pods.http_probe("/readyz", PROBE_PORT, 1, 60),
        "readiness_probe": pods.http_probe("/readyz", PROBE_PORT, 1, 2),
        "liveness_probe": pods.http_probe("/livez", PROBE_PORT, 5, 4),
        "resources": args.size.resources(),
        "volume_mounts": [
            {"name": "configuration", "mount_path": "/conf", "read_only": True},
            {"name": "tls", "mount_path": "/var/run/plm/tls", "read_only": True},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 - a volume of the pod's own
        ],
    }
