"""NATS with JetStream, which writes every message through to the disk before it answers."""

from dataclasses import dataclass
from hashlib import sha256

import pulumi
import pulumi_kubernetes as k8s

from plminfra import pods
from plminfra.endpoint import Endpoint

PORT = 4222
MONITOR_PORT = 8222
USER = 65532
NAME = "nats"
# Go gives memory back before the kernel takes the process: a part of the limit, in percent.
_GO_LIMIT_PERCENT = 60

_CONFIGURATION = f"""server_name: $POD_NAME
listen: 0.0.0.0:{PORT}
http: 0.0.0.0:{MONITOR_PORT}
max_payload: 1MB
write_deadline: "10s"
lame_duck_grace_period: 1s
lame_duck_duration: 30s
ping_interval: "2s"
ping_max: 2
jetstream {{ store_dir: /data, max_mem: 32MB, max_file: 768MB, sync_interval: always }}
"""


@dataclass(frozen=True, kw_only=True)
class NatsArgs(pods.PodArgs):
    """One server; three and a cluster section come with their profile."""

    volume_mib: int
    storage_class: str


class Nats(pulumi.ComponentResource):
    """A JetStream server. `endpoint` is where clients connect."""

    endpoint: Endpoint

    def __init__(
        self, name: str, args: NatsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("plm:stores:Nats", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for suffix, headless in (("", {}), ("-pods", {"cluster_ip": "None"})):
            k8s.core.v1.Service(
                f"{name}-service{suffix}",
                metadata=pods.metadata(
                    f"{NAME}{suffix}", args.namespace, of=NAME, **pods.SKIP_AWAIT
                ),
                spec={
                    **headless,
                    "selector": pods.selector(NAME),
                    "ports": [{"name": "client", "port": PORT, "target_port": PORT}],
                },
                opts=child,
            )
        configuration = k8s.core.v1.ConfigMap(
            f"{name}-configuration",
            metadata=pods.metadata(NAME, args.namespace, of=NAME),
            data={"nats.conf": _CONFIGURATION},
            opts=child,
        )
        k8s.apps.v1.StatefulSet(
            f"{name}-pods-set",
            metadata=pods.metadata(NAME, args.namespace, of=NAME, **pods.PATIENCE),
            spec={
                "service_name": f"{NAME}-pods",
                "replicas": 1,
                "selector": {"match_labels": pods.selector(NAME)},
                "template": pods.Pod(
                    name=NAME,
                    user=USER,
                    grace_s=15,
                    container=_container(args),
                    image_pull_secrets=args.image_pull_secrets,
                    volumes=(
                        {
                            "name": "configuration",
                            "config_map": {"name": configuration.metadata["name"]},
                        },
                    ),
                    annotations={
                        "plm.dev/configuration": sha256(_CONFIGURATION.encode()).hexdigest()
                    },
                ).template(),
                "volume_claim_templates": [pods.claim(args.volume_mib, args.storage_class, NAME)],
            },
            opts=child,
        )
        self.endpoint = Endpoint(NAME, PORT, pods.selector(NAME))
        self.register_outputs({"host": self.endpoint.host, "port": self.endpoint.port})


def _container(args: NatsArgs) -> pods.Manifest:
    go_limit_mib = args.size.memory_mib_max * _GO_LIMIT_PERCENT // 100
    return pods.container(
        NAME,
        args,
        args=["-c", "/conf/nats.conf"],
        env=[
            {"name": "POD_NAME", "value_from": {"field_ref": {"field_path": "metadata.name"}}},
            {"name": "GOMEMLIMIT", "value": f"{go_limit_mib}MiB"},
        ],
        ports=[
            {"name": "client", "container_port": PORT},
            {"name": "monitor", "container_port": MONITOR_PORT},
        ],
        startup_probe=pods.http_probe("/healthz", MONITOR_PORT, 1, 90),
        readiness_probe=pods.http_probe("/healthz?js-server-only=true", MONITOR_PORT, 2, 3),
        liveness_probe=pods.http_probe("/healthz?js-enabled-only=true", MONITOR_PORT, 5, 3),
        volume_mounts=[
            {"name": "data", "mount_path": "/data"},
            {"name": "configuration", "mount_path": "/conf", "read_only": True},
        ],
    )
