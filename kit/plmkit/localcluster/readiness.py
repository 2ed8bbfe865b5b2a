"""When the cluster counts as ready. Its own words are not enough: after a restart the API server tells old news."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from plmkit.console import KitError
from plmkit.localcluster.api import Api, Unreachable
from plmkit.localcluster.layout import NODE_NAME

_PODS_PATH = "/api/v1/pods"
_NODE_PATH = f"/api/v1/nodes/{NODE_NAME}"


def wait_for(
    condition: Callable[[], bool],
    what: str,
    cure: str,
    *,
    timeout_s: float,
    meanwhile: Callable[[], None],
) -> None:
    """Return as soon as the condition holds. `meanwhile` is called until then, and raises where waiting is in vain."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        meanwhile()
        if time.monotonic() > deadline:
            raise KitError(f"waited {timeout_s:.0f} s in vain for {what}", cure)
        time.sleep(0.05)


def is_node_ready(api: Api, *, since: float = 0.0) -> bool:
    """Whether the node says Ready, and said so after `since` (seconds of the wall clock)."""
    try:
        node = api.get(_NODE_PATH)
    except Unreachable:
        return False
    return node_says_ready(node, since=since)


def node_says_ready(node: Mapping[str, Any], *, since: float) -> bool:
    """Whether this node object holds a Ready condition that is true and no older than `since`."""
    for condition in node.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready":
            heard = datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp()
            # Heartbeats are given in whole seconds.
            return bool(condition["status"] == "True") and heard >= int(since)
    return False


def are_pods_true(api: Api, running: Collection[str]) -> bool:
    """Whether DNS is served and no pod calls itself ready with a container that does not run."""
    try:
        pods: Sequence[Mapping[str, Any]] = api.get(_PODS_PATH)["items"]
    except Unreachable:
        return False
    return has_ready_dns(pods, running) and not pods_out_of_date(pods, running)


def has_ready_dns(pods: Sequence[Mapping[str, Any]], running: Collection[str]) -> bool:
    """Whether a CoreDNS pod is ready with a running container."""
    return any(
        pod["metadata"].get("labels", {}).get("k8s-app") == "kube-dns" and _is_ready(pod, running)
        for pod in pods
    )


def pods_out_of_date(pods: Sequence[Mapping[str, Any]], running: Collection[str]) -> list[str]:
    """Names of pods whose status speaks of containers that are gone."""
    return [
        pod["metadata"]["name"]
        for pod in pods
        if _claims_ready(pod) and not _is_ready(pod, running)
    ]


def _claims_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)


def _is_ready(pod: Mapping[str, Any], running: Collection[str]) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    ids = [status.get("containerID", "").removeprefix("containerd://") for status in statuses]
    return _claims_ready(pod) and all(container in running for container in ids)
