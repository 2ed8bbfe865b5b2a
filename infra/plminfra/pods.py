"""What every pod of the stack has in common: names, labels, and nothing that restricted Pod Security forbids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from plminfra.sizing import Size

Manifest = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PodArgs:
    """What every component with pods is told."""

    namespace: pulumi.Input[str]
    image: str
    image_pull_policy: str
    image_pull_secrets: tuple[str, ...]
    size: Size


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod of one container: what differs from component to component. Without an account it has no token."""

    name: str
    user: int
    grace_s: int
    container: Manifest
    image_pull_secrets: tuple[str, ...]
    volumes: tuple[Manifest, ...]
    # A process reads its files when it starts: what stands for their content rolls the pods when it changes.
    annotations: Mapping[str, pulumi.Input[str]]
    labels: Mapping[str, str] = field(default_factory=dict)
    account: pulumi.Input[str] | None = None

    def template(self) -> Manifest:
        """As a Deployment or StatefulSet has it."""
        rights = (
            {"automount_service_account_token": False}
            if self.account is None
            else {"service_account_name": self.account}
        )
        return {
            "metadata": {
                "labels": {**labels(self.name), **self.labels},
                "annotations": dict(self.annotations),
            },
            "spec": {
                **rights,
                **_pull_secrets(self.image_pull_secrets),
                # Else every Service of the namespace becomes a dozen variables, PATRONI_… or NATS_… among them.
                "enable_service_links": False,
                "termination_grace_period_seconds": self.grace_s,
                "security_context": _pod_security(self.user),
                "containers": [self.container],
                "volumes": list(self.volumes),
            },
        }


def container(name: str, given: PodArgs, /, **own: Any) -> Manifest:
    """A container within its size, without any right on its machine. `own`: what it has and others have not."""
    return {
        "name": name,
        "image": given.image,
        "image_pull_policy": given.image_pull_policy,
        "security_context": _container_security(),
        "resources": given.size.resources(),
        **own,
    }


def labels(name: str) -> dict[str, str]:
    """Standard labels of what belongs to `name`."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": name,
        "app.kubernetes.io/part-of": "plm",
        "app.kubernetes.io/managed-by": "pulumi",
    }


def selector(name: str) -> dict[str, str]:
    """What selects the pods of `name`."""
    return {"app.kubernetes.io/name": name}


def metadata(name: str, namespace: Any, *, of: str, **annotations: str) -> Manifest:
    """Name, place and labels of an object that belongs to `of`."""
    found: Manifest = {"name": name, "namespace": namespace, "labels": labels(of)}
    if annotations:
        found["annotations"] = annotations
    return found


def _pull_secrets(names: tuple[str, ...]) -> Manifest:
    # In each pod, not in its account: only so does a first login roll the pods that wait for their image.
    return {"image_pull_secrets": [{"name": name} for name in names]} if names else {}


def _pod_security(user: int) -> Manifest:
    return {
        "run_as_non_root": True,
        "run_as_user": user,
        "run_as_group": user,
        "fs_group": user,
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def _container_security() -> Manifest:
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def http_probe(path: str, port: int, period_s: int, failures_max: int) -> Manifest:
    """A probe over plain HTTP."""
    return {
        "http_get": {"path": path, "port": port},
        "period_seconds": period_s,
        "timeout_seconds": 2,
        "failure_threshold": failures_max,
    }


def claim(size_mib: int, storage_class: str, of: str) -> Manifest:
    """A volume claim template named `data`."""
    spec: Manifest = {
        "access_modes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{size_mib}Mi"}},
    }
    if storage_class:
        spec["storage_class_name"] = storage_class
    return {"metadata": {"name": "data", "labels": labels(of)}, "spec": spec}


# Pulumi waits ten seconds for the endpoints of a Service; readiness is what we wait for, on the pods.
SKIP_AWAIT: Mapping[str, str] = {"pulumi.com/skipAwait": "true"}

# Pulumi's own patience is ten minutes; what does not come up here within three never does.
PATIENCE: Mapping[str, str] = {"pulumi.com/timeoutSeconds": "180"}
