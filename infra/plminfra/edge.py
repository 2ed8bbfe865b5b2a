"""Caddy with the Caddyfile of the checkout's root, behind a NodePort."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from plminfra import pods

PORT = 8443
PROBE_PORT = 8080
USER = 65532
NAME = "edge"
CADDYFILE = Path(__file__).resolve().parents[2] / "Caddyfile"


@dataclass(frozen=True, kw_only=True)
class EdgeArgs(pods.PodArgs):
    """The certificate is the operator's Secret `edge-tls`."""

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
                "template": pods.Pod(
                    name=NAME,
                    user=USER,
                    grace_s=25,
                    container=_container(args),
                    image_pull_secrets=args.image_pull_secrets,
                    volumes=(
                        {
                            "name": "configuration",
                            "config_map": {"name": configuration.metadata["name"]},
                        },
                        {
                            "name": "tls",
                            "secret": {"secret_name": "edge-tls", "default_mode": 0o440},
                        },
                        {"name": "tmp", "empty_dir": {}},
                    ),
                    annotations={"plm.dev/caddyfile": sha256(caddyfile.encode()).hexdigest()},
                ).template(),
            },
            opts=child,
        )
        self.register_outputs({})


def _container(args: EdgeArgs) -> pods.Manifest:
    return pods.container(
        NAME,
        args,
        args=["run", "--config", "/conf/Caddyfile", "--adapter", "caddyfile"],
        env=[
            {"name": name, "value": "/tmp"}  # noqa: S108 - a volume of the pod's own
            for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
        ],
        ports=[
            {"name": "https", "container_port": PORT},
            {"name": "probes", "container_port": PROBE_PORT},
        ],
        startup_probe=pods.http_probe("/readyz", PROBE_PORT, 1, 60),
        readiness_probe=pods.http_probe("/readyz", PROBE_PORT, 1, 2),
        liveness_probe=pods.http_probe("/livez", PROBE_PORT, 5, 4),
        volume_mounts=[
            {"name": "configuration", "mount_path": "/conf", "read_only": True},
            {"name": "tls", "mount_path": "/var/run/plm/tls", "read_only": True},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 - a volume of the pod's own
        ],
    )
