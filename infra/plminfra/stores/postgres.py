"""Postgres under Patroni, with Kubernetes' Endpoints as its store: the Service `pg` always names the primary."""

from dataclasses import dataclass, field
from hashlib import sha256

import pulumi
import pulumi_kubernetes as k8s

from plminfra import pods
from plminfra.endpoint import Endpoint
from plminfra.stores import patroni
from plminfra.stores.patroni import NAME, PORT, REST_PORT, SCOPE

USER = 999


@dataclass(frozen=True, kw_only=True)
class PostgresArgs(pods.PodArgs):
    """Passwords come as secrets; what decides the shape is plain."""

    volume_mib: int
    storage_class: str
    superuser_password: pulumi.Output[str] = field(repr=False)
    replication_password: pulumi.Output[str] = field(repr=False)
    rewind_password: pulumi.Output[str] = field(repr=False)
    replicas: int = 1

    def __post_init__(self) -> None:
        if self.replicas < 1 or self.replicas == 2:  # noqa: PLR2004 - a majority of two is two
            raise ValueError(f"{self.replicas} replicas: take 1, or 3 and more")

    @property
    def is_synchronous(self) -> bool:
        """Strict synchronous replication; alone it would make every commit wait for ever."""
        return self.replicas > 1


class Postgres(pulumi.ComponentResource):
    """A Patroni cluster. `endpoint` is the primary's; the Secret `pg-superuser` holds the superuser's password."""

    endpoint: Endpoint

    def __init__(
        self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("plm:stores:Postgres", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._services(name, args, child)
        account = self._rights(name, args, child)
        configuration = self._secrets(name, args, child)
        self._pods(name, args, account, configuration, child)
        self.endpoint = Endpoint(SCOPE, PORT, pods.selector(NAME))
        self.register_outputs({"host": self.endpoint.host, "port": self.endpoint.port})

    def _services(self, name: str, args: PostgresArgs, child: pulumi.ResourceOptions) -> None:
        # Without selectors: Patroni itself writes the Endpoints of these names, together with its leader lock.
        for suffix, spec in (
            ("", {"ports": [{"name": "postgresql", "port": PORT, "target_port": PORT}]}),
            ("-config", {"cluster_ip": "None"}),
        ):
            meta = pods.metadata(f"{SCOPE}{suffix}", args.namespace, of=NAME)
            meta["labels"] = {**meta["labels"], "cluster-name": SCOPE}
            meta["annotations"] = dict(pods.SKIP_AWAIT)
            k8s.core.v1.Service(f"{name}-service{suffix}", metadata=meta, spec=spec, opts=child)
        k8s.core.v1.Service(
            f"{name}-pods",
            metadata=pods.metadata(f"{SCOPE}-pods", args.namespace, of=NAME, **pods.SKIP_AWAIT),
            spec={
                "cluster_ip": "None",
                "selector": pods.selector(NAME),
                "publish_not_ready_addresses": True,
                "ports": [{"name": "postgresql", "port": PORT}],
            },
            opts=child,
        )

    def _rights(
        self, name: str, args: PostgresArgs, child: pulumi.ResourceOptions
    ) -> pulumi.Output[str]:
        meta = pods.metadata(SCOPE, args.namespace, of=NAME)
        account = k8s.core.v1.ServiceAccount(f"{name}-account", metadata=meta, opts=child)
        verbs = ["create", "get", "list", "patch", "update", "watch"]
        role = k8s.rbac.v1.Role(
            f"{name}-role",
            metadata=meta,
            rules=[
                {
                    "api_groups": [""],
                    "resources": ["endpoints"],
                    "verbs": [*verbs, "delete", "deletecollection"],
                },
                {"api_groups": [""], "resources": ["pods"], "verbs": verbs[1:]},
            ],
            opts=child,
        )
        k8s.rbac.v1.RoleBinding(
            f"{name}-binding",
            metadata=meta,
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": role.metadata["name"],
            },
            subjects=[
                {
                    "kind": "ServiceAccount",
                    "name": account.metadata["name"],
                    "namespace": args.namespace,
                }
            ],
            opts=child,
        )
        found: pulumi.Output[str] = account.metadata["name"]
        return found

    def _secrets(
        self, name: str, args: PostgresArgs, child: pulumi.ResourceOptions
    ) -> pulumi.Output[str]:
        k8s.core.v1.Secret(
            f"{name}-superuser",
            metadata=pods.metadata("pg-superuser", args.namespace, of=NAME),
            string_data={"password": args.superuser_password},
            opts=child,
        )
        secret = k8s.core.v1.Secret(
            f"{name}-patroni",
            metadata=pods.metadata("pg-patroni", args.namespace, of=NAME),
            string_data={"patroni.yml": _file(args)},
            opts=child,
        )
        found: pulumi.Output[str] = secret.metadata["name"]
        return found

    def _pods(
        self,
        name: str,
        args: PostgresArgs,
        account: pulumi.Output[str],
        configuration: pulumi.Output[str],
        child: pulumi.ResourceOptions,
    ) -> None:
        pod = pods.Pod(
            name=NAME,
            user=USER,
            grace_s=20,
            container=_container(args),
            image_pull_secrets=args.image_pull_secrets,
            volumes=(
                {
                    "name": "configuration",
                    "secret": {"secret_name": configuration, "default_mode": 0o440},
                },
                {"name": "tmp", "empty_dir": {}},
            ),
            annotations={"plm.dev/configuration": _digest(_file(args))},
            labels={"cluster-name": SCOPE},
            account=account,
        )
        k8s.apps.v1.StatefulSet(
            f"{name}-pods-set",
            metadata=pods.metadata(SCOPE, args.namespace, of=NAME, **pods.PATIENCE),
            spec={
                "service_name": f"{SCOPE}-pods",
                "replicas": args.replicas,
                "pod_management_policy": "Parallel",
                "selector": {"match_labels": pods.selector(NAME)},
                "template": pod.template(),
                "volume_claim_templates": [pods.claim(args.volume_mib, args.storage_class, NAME)],
            },
            opts=child,
        )


def _file(args: PostgresArgs) -> pulumi.Output[str]:
    """Patroni's configuration with the passwords in it: a secret."""
    is_synchronous = args.is_synchronous
    return pulumi.Output.all(
        args.superuser_password, args.replication_password, args.rewind_password
    ).apply(lambda all_three: patroni.render(is_synchronous, *all_three))


def _digest(text: pulumi.Output[str]) -> pulumi.Output[str]:
    """What tells one file from another, by its passwords too, and is no secret.

    It stands for three passwords of 32 random bytes: nobody guesses one of them without the other two.
    """
    return pulumi.Output.unsecret(text.apply(lambda found: sha256(found.encode()).hexdigest()))


def _container(args: PostgresArgs) -> pods.Manifest:
    def field_of(path: str) -> dict[str, object]:
        return {"field_ref": {"field_path": path}}

    return pods.container(
        NAME,
        args,
        command=["patroni", "/conf/patroni.yml"],
        env=[
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - a volume of the pod's own
            {"name": "PATRONI_NAME", "value_from": field_of("metadata.name")},
            {"name": "PATRONI_KUBERNETES_NAMESPACE", "value_from": field_of("metadata.namespace")},
            {"name": "PATRONI_KUBERNETES_POD_IP", "value_from": field_of("status.podIP")},
            {
                "name": "PATRONI_POSTGRESQL_CONNECT_ADDRESS",
                "value": f"$(PATRONI_KUBERNETES_POD_IP):{PORT}",
            },
            {
                "name": "PATRONI_RESTAPI_CONNECT_ADDRESS",
                "value": f"$(PATRONI_KUBERNETES_POD_IP):{REST_PORT}",
            },
        ],
        ports=[
            {"name": "postgresql", "container_port": PORT},
            {"name": "patroni", "container_port": REST_PORT},
        ],
        startup_probe=pods.http_probe("/liveness", REST_PORT, 1, 120),
        readiness_probe=pods.http_probe("/readiness", REST_PORT, 1, 2),
        liveness_probe=pods.http_probe("/liveness", REST_PORT, 3, 4),
        volume_mounts=[
            {"name": "data", "mount_path": "/data"},
            {"name": "configuration", "mount_path": "/conf", "read_only": True},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 - a volume of the pod's own
        ],
    )
