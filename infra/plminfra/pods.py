"""What every pod of the stack has in common: names, labels, and nothing that restricted Pod Security forbids."""

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]


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


def pod_security(user: int) -> Manifest:
    """SecurityContext of a pod."""
    return {
        "run_as_non_root": True,
        "run_as_user": user,
        "run_as_group": user,
        "fs_group": user,
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """SecurityContext of a container."""
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
