"""What runs, what is wrong and what to do next: a pure reading of Kubernetes objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]

MESH_NODE_LABEL = "mesh-node"


@dataclass(frozen=True)
class Workload:
    """A Deployment or StatefulSet in one line."""

    kind: str
    name: str
    ready: int
    desired: int
    restarts: int

    @property
    def is_ready(self) -> bool:
        """Whether every replica serves."""
        return self.ready >= self.desired


@dataclass(frozen=True)
class Node:
    """A MeshNode in one line."""

    name: str
    is_ready: bool
    reason: str
    message: str
    restarts: int


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong, and the next command to type."""

    what: str
    cure: str


@dataclass(frozen=True)
class Health:
    """One screen's worth of the platform."""

    stores: tuple[Workload, ...]
    services: tuple[Workload, ...]
    nodes: tuple[Node, ...]
    troubles: tuple[Trouble, ...]


def read_health(
    workloads: Sequence[Object], pods: Sequence[Object], nodes: Sequence[Object]
) -> Health:
    """Health from Deployments and StatefulSets, their pods, and MeshNodes."""
    lines = [_workload(item, pods) for item in workloads if _component(item) != MESH_NODE_LABEL]
    read_nodes = tuple(sorted((_node(item, pods) for item in nodes), key=lambda node: node.name))
    troubles = [_trouble_of_workload(line, pods) for line in lines if not line.is_ready] + [
        _trouble_of_node(node) for node in read_nodes if not node.is_ready
    ]
    if not lines:
        troubles.append(Trouble("nothing of plm is deployed on this cluster", "plm up"))
    return Health(
        stores=tuple(line for line in lines if line.kind == "StatefulSet"),
        services=tuple(line for line in lines if line.kind != "StatefulSet"),
        nodes=read_nodes,
        troubles=tuple(troubles),
    )


def _component(item: Object) -> str:
    return str(item["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def _workload(item: Object, pods: Sequence[Object]) -> Workload:
    status = item.get("status", {})
    return Workload(
        kind=item["kind"],
        name=item["metadata"]["name"],
        ready=int(status.get("readyReplicas", 0)),
        desired=int(item["spec"].get("replicas", 1)),
        restarts=sum(_restarts(pod) for pod in _pods_of(item["spec"]["selector"], pods)),
    )


def _pods_of(selector: Object, pods: Sequence[Object]) -> list[Object]:
    wanted = selector.get("matchLabels", {}).items()
    return [pod for pod in pods if wanted <= pod["metadata"].get("labels", {}).items()]


def _restarts(pod: Object) -> int:
    return sum(
        int(container["restartCount"])
        for container in pod.get("status", {}).get("containerStatuses", ())
    )


def _node(item: Object, pods: Sequence[Object]) -> Node:
    name = item["metadata"]["name"]
    ready = next(
        (
            condition
            for condition in item.get("status", {}).get("conditions", ())
            if condition["type"] == "Ready"
        ),
        {"status": "Unknown", "reason": "NotSeen", "message": "the operator has not seen it yet"},
    )
    own = [pod for pod in pods if pod["metadata"]["name"].startswith(f"node-{name}-")]
    return Node(
        name=name,
        is_ready=ready["status"] == "True",
        reason=ready.get("reason", ""),
        message=ready.get("message", ""),
        restarts=sum(_restarts(pod) for pod in own),
    )


def _trouble_of_workload(line: Workload, pods: Sequence[Object]) -> Trouble:
    own = [pod for pod in pods if pod["metadata"]["name"].startswith(f"{line.name}-")]
    why = next((reason for pod in own if (reason := why_not_ready(pod))), "no pod of it runs")
    return Trouble(
        f"{line.name}: {line.ready} of {line.desired} ready: {why}", f"plm logs {line.name}"
    )


def _trouble_of_node(node: Node) -> Trouble:
    return Trouble(
        f"node {node.name}: {node.reason}: {node.message}",
        f"kubectl describe meshnode {node.name} -n plm, and plm logs {node.name}",
    )


def why_not_ready(pod: Object) -> str:
    """Why a pod does not serve, in Kubernetes' own words; empty when it does."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return _said(waiting)
        if not container.get("ready"):
            last = container.get("lastState", {}).get("terminated")
            ended = f", after exit code {last['exitCode']}" if last else ""
            return f"{container['name']} is not ready{ended}"
    unscheduled = [
        condition
        for condition in status.get("conditions", ())
        if condition["type"] == "PodScheduled" and condition["status"] != "True"
    ]
    return _said(unscheduled[0]) if unscheduled else ""


def _said(state: Object) -> str:
    message = state.get("message", "")
    return f"{state.get('reason', 'waiting')}{': ' + message if message else ''}"
