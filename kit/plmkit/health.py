"""What runs, what is wrong and what to do next: a pure reading of Kubernetes objects."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plmkit.image_pulls import find_failed_pull
from plmkit.kubectl import with_context

Object = Mapping[str, Any]

MESH_NODE_LABEL = "mesh-node"
NAME_LABEL = "app.kubernetes.io/name"
# The operator sets it: a name that begins like another one is no other one's.
NODE_LABEL = "plm.dev/node"
JOB_LABEL = "batch.kubernetes.io/job-name"
_ENDED = frozenset({"Failed", "Succeeded"})
# A pod on its way is none that fails.
_ON_ITS_WAY = frozenset({"ContainerCreating", "PodInitializing"})


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
class Job:
    """A Job in one line. `why_not` is empty for one that is done, or at work without having failed."""

    name: str
    app: str
    is_done: bool
    why_not: str


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
    jobs: tuple[Job, ...]
    troubles: tuple[Trouble, ...]


def read_health(
    workloads: Sequence[Object],
    pods: Sequence[Object],
    nodes: Sequence[Object],
    jobs: Sequence[Object] = (),
    *,
    context: str | None = None,
) -> Health:
    """Health from Deployments and StatefulSets, Jobs, the pods of them all, and MeshNodes; cures for that context."""
    read_nodes = tuple(sorted((_node(item, pods) for item in nodes), key=lambda node: node.name))
    read_jobs = tuple(_job(item, pods) for item in jobs)
    # Jobs first: what they were to prepare, others wait for.
    troubles = [_trouble_of_job(job, pods, context) for job in read_jobs if job.why_not]
    lines = []
    for item in workloads:
        if _component(item) != MESH_NODE_LABEL:
            own = _pods_of(item["spec"]["selector"], pods)
            lines.append(_workload(item, own))
            troubles += _troubles_of_workload(lines[-1], own, context)
    troubles += [_trouble_of_node(node, pods, context) for node in read_nodes if not node.is_ready]
    if not lines and not jobs:
        troubles.append(
            Trouble("nothing of plm is deployed on this cluster", with_context("plm up", context))
        )
    return Health(
        stores=tuple(line for line in lines if line.kind == "StatefulSet"),
        services=tuple(line for line in lines if line.kind != "StatefulSet"),
        nodes=read_nodes,
        jobs=read_jobs,
        troubles=tuple(troubles),
    )


def _component(item: Object) -> str:
    return str(item["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def _workload(item: Object, own: Sequence[Object]) -> Workload:
    status = item.get("status", {})
    return Workload(
        kind=item["kind"],
        name=item["metadata"]["name"],
        ready=int(status.get("readyReplicas", 0)),
        desired=int(item["spec"].get("replicas", 1)),
        restarts=sum(map(_restarts, own)),
    )


def _pods_of(selector: Object, pods: Sequence[Object]) -> list[Object]:
    wanted = selector.get("matchLabels", {}).items()
    return [pod for pod in pods if wanted <= pod["metadata"].get("labels", {}).items()]


def _labelled(label: str, value: str, pods: Sequence[Object]) -> list[Object]:
    return [pod for pod in pods if pod["metadata"].get("labels", {}).get(label) == value]


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
    own = _labelled(NODE_LABEL, name, pods)
    return Node(
        name=name,
        is_ready=ready["status"] == "True",
        reason=ready.get("reason", ""),
        message=ready.get("message", ""),
        restarts=sum(_restarts(pod) for pod in own),
    )


def app_of(item: Object) -> str:
    """What people call it: a Job's own name ends with a hash."""
    name = str(item["metadata"]["name"])
    return str(item["metadata"].get("labels", {}).get(NAME_LABEL, name))


def newest_pod_of_jobs(jobs: Collection[str], pods: Sequence[Object]) -> str | None:
    """The name of the youngest pod of these Jobs; None where none is left."""
    own = [pod for pod in pods if pod["metadata"].get("labels", {}).get(JOB_LABEL) in jobs]
    if not own:
        return None
    youngest = max(own, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return str(youngest["metadata"]["name"])


def _job(item: Object, pods: Sequence[Object]) -> Job:
    conditions = {
        condition["type"]: condition
        for condition in item.get("status", {}).get("conditions", ())
        if condition["status"] == "True"
    }
    name = item["metadata"]["name"]
    own = _labelled(JOB_LABEL, name, pods)
    is_done = "Complete" in conditions
    if "Failed" in conditions:
        why_not = _said(conditions["Failed"])
    else:
        # Tried again with longer and longer pauses, it takes minutes until Kubernetes calls it failed.
        why_not = "" if is_done else next(filter(None, map(_why_failing, own)), "")
    return Job(name, app_of(item), is_done, why_not)


def _why_failing(pod: Object) -> str:
    """Empty for a pod on its way, too."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        waiting, ended = state.get("waiting"), state.get("terminated")
        if waiting and waiting.get("reason") not in _ON_ITS_WAY:
            return _said(waiting)
        if ended and ended["exitCode"] != 0:
            return f"{container['name']} ended with exit code {ended['exitCode']}"
    return _why_unscheduled(status)


def _trouble_of_job(job: Job, pods: Sequence[Object], context: str | None) -> Trouble:
    if pull := find_failed_pull(_labelled(JOB_LABEL, job.name, pods)):
        return Trouble(f"job {job.name}: {pull.what}", pull.cure(context))
    return Trouble(f"job {job.name}: {job.why_not}", with_context(f"plm logs {job.app}", context))


def _troubles_of_workload(
    line: Workload, pods: Sequence[Object], context: str | None
) -> Iterator[Trouble]:
    own = list(filter(_is_active, pods))
    said = f"{line.name}: {line.ready} of {line.desired} ready"
    # Also beside pods of before that serve on: a new one is to take their place, and never will.
    if pull := find_failed_pull(own):
        yield Trouble(f"{said}: {pull.what}", pull.cure(context))
        return
    if line.is_ready:
        why = next(filter(None, map(_why_failing, own)), "")
    else:
        why = next(filter(None, map(why_not_ready, own)), "no pod of it runs")
    if why:
        yield Trouble(f"{said}: {why}", with_context(f"plm logs {line.name}", context))


def _is_active(pod: Object) -> bool:
    """Not one that is going, nor one that was evicted and is kept to be looked at."""
    is_going = "deletionTimestamp" in pod["metadata"]
    return not is_going and pod.get("status", {}).get("phase") not in _ENDED


def _trouble_of_node(node: Node, pods: Sequence[Object], context: str | None) -> Trouble:
    if pull := find_failed_pull(_labelled(NODE_LABEL, node.name, pods)):
        return Trouble(f"node {node.name}: {pull.what}", pull.cure(context))
    seen = with_context(f"kubectl describe meshnode {node.name} -n plm", context)
    return Trouble(
        f"node {node.name}: {node.reason}: {node.message}",
        f"{seen}, and {with_context(f'plm logs {node.name}', context)}",
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
    return _why_unscheduled(status)


def _why_unscheduled(status: Object) -> str:
    unscheduled = [
        condition
        for condition in status.get("conditions", ())
        if condition["type"] == "PodScheduled" and condition["status"] != "True"
    ]
    return _said(unscheduled[0]) if unscheduled else ""


def _said(state: Object) -> str:
    message = state.get("message", "")
    return f"{state.get('reason', 'waiting')}{': ' + message if message else ''}"
