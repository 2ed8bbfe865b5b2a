"""The Pulumi program. Read top to bottom it is the deployment: namespace, secrets, stores, operator, services, edge."""

import os

import pulumi
import pulumi_kubernetes as k8s
from plminfra import charts, platform_secrets, policies
from plminfra.config import StackConfig, keys_of, secrets_of
from plminfra.edge import Edge, EdgeArgs
from plminfra.sizing import profile_of
from plminfra.stores.nats import Nats, NatsArgs
from plminfra.stores.postgres import Postgres, PostgresArgs
from pulumi_kubernetes.helm.v4 import Chart

config = StackConfig.load(pulumi.Config(), keys_of(os.environ), secrets_of(os.environ))
profile = profile_of(config.profile)

namespace = k8s.core.v1.Namespace(
    "namespace",
    metadata={
        # No setting: every command of the kit looks here.
        "name": "plm",
        "labels": {
            "app.kubernetes.io/part-of": "plm",
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        },
    },
)
name = namespace.metadata["name"]
inside = pulumi.ResourceOptions(depends_on=[namespace])

secrets = platform_secrets.create(name, config, inside)
# Before the first pod: what is not declared never gets through.
rules = policies.create(name, config.edge_clients, inside)
guarded = pulumi.ResourceOptions(depends_on=[namespace, *secrets, *rules])

postgres = Postgres(
    "postgres",
    PostgresArgs(
        namespace=name,
        image=config.images["postgres"],
        image_pull_policy=config.image_pull_policy,
        image_pull_secrets=config.image_pull_secrets,
        size=profile.size("postgres"),
        volume_mib=profile.volumes_mib["postgres"],
        storage_class=config.storage_class,
        superuser_password=config.secret("postgresSuperuser"),
        replication_password=config.secret("postgresReplication"),
        rewind_password=config.secret("postgresRewind"),
        replicas=profile.replicas["postgres"],
    ),
    opts=guarded,
)
nats = Nats(
    "nats",
    NatsArgs(
        namespace=name,
        image=config.images["nats"],
        image_pull_policy=config.image_pull_policy,
        image_pull_secrets=config.image_pull_secrets,
        size=profile.size("nats"),
        volume_mib=profile.volumes_mib["nats"],
        storage_class=config.storage_class,
    ),
    opts=guarded,
)
# Issues the certificates that services and edge mount: they start at once when these are there.
operator = Chart(
    "plm-operator",
    chart=str(charts.FOLDER / "plm-operator"),
    namespace=name,
    values=charts.operator_values(config, profile),
    opts=guarded,
)
Edge(
    "edge",
    EdgeArgs(
        namespace=name,
        image=config.images["caddy"],
        image_pull_policy=config.image_pull_policy,
        image_pull_secrets=config.image_pull_secrets,
        size=profile.size("edge"),
        node_port=config.edge_node_port,
    ),
    opts=pulumi.ResourceOptions(depends_on=[operator]),
)
Chart(
    "plm-services",
    chart=str(charts.FOLDER / "plm-services"),
    namespace=name,
    values=charts.services_values(config, profile, postgres.endpoint, nats.endpoint),
    opts=pulumi.ResourceOptions(depends_on=[postgres, nats, operator]),
)

# Stable, documented names: docs/operating.md.
pulumi.export("apiUrl", config.api_url)
pulumi.export("caBundle", pulumi.Output.unsecret(config.secret("caCertificate")))
pulumi.export("namespace", name)
