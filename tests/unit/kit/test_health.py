"""What `plm status` makes of Kubernetes objects: each trouble in one sentence with the next command."""

from typing import Any

import pytest
from plmkit.health import NODE_LABEL, newest_pod_of_jobs, read_health


def workload(kind: str, name: str, ready: int = 1, **labels: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
        "status": {"readyReplicas": ready},
    }


def pod(name: str, app: str, **container: Any) -> dict[str, Any]:
    status = {"name": app, "ready": True, "restartCount": 0, "state": {"running": {}}} | container
    return {
        "metadata": {"name": name, "labels": {"app": app}},
        "status": {"containerStatuses": [status]},
    }


def mesh_node(name: str, status: str = "True", reason: str = "Ready") -> dict[str, Any]:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": "see its pod"}
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


def test_a_healthy_platform_has_no_troubles() -> None:
    health = read_health(
        [workload("StatefulSet", "pg"), workload("Deployment", "gateway")],
        [pod("pg-0", "pg"), pod("gateway-abc", "gateway", restartCount=2)],
        [mesh_node("a")],
    )
    assert health.troubles == ()
    assert [store.name for store in health.stores] == ["pg"]
    assert [(service.name, service.restarts) for service in health.services] == [("gateway", 2)]


def test_a_crashing_service_is_named_with_its_reason_and_its_log() -> None:
    crashing = pod(
        "gateway-abc",
        "gateway",
        ready=False,
        restartCount=5,
        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
    )
    [trouble] = read_health([workload("Deployment", "gateway", ready=0)], [crashing], []).troubles
    assert trouble.what == "gateway: 0 of 1 ready: CrashLoopBackOff: back-off 10s"
    assert trouble.cure == "plm logs gateway"


CRASHING = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
STARTING = {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize(
    ("state", "metadata", "phase", "said"),
    [
        (CRASHING, {}, "Running", ["gateway: 1 of 1 ready: CrashLoopBackOff: back-off 10s"]),
        (STARTING, {}, "Pending", []),
        ({"running": {}}, {}, "Running", []),
        (CRASHING, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "Running", []),
        ({"terminated": {"exitCode": 137}}, {}, "Failed", []),
    ],
    ids=["crashing", "starting", "running", "going", "evicted"],
)
def test_a_new_pod_that_fails_is_told_though_the_one_of_before_serves_on(
    state: dict[str, Any], metadata: dict[str, str], phase: str, said: list[str]
) -> None:
    """After a `plm up` that failed for that: all that is ready would look well."""
    new = pod("gateway-new", "gateway", ready=False, state=state)
    new["metadata"] |= metadata
    new["status"]["phase"] = phase
    old = pod("gateway-old", "gateway")
    health = read_health([workload("Deployment", "gateway")], [old, new], [])
    assert [trouble.what for trouble in health.troubles] == said


def test_an_evicted_pod_does_not_speak_for_the_one_that_took_its_place() -> None:
    evicted = pod("gateway-a", "gateway", ready=False, state={"terminated": {"exitCode": 137}})
    evicted["status"]["phase"] = "Failed"
    crashing = pod("gateway-b", "gateway", ready=False, state=CRASHING)
    down = workload("Deployment", "gateway", ready=0)
    [trouble] = read_health([down], [evicted, crashing], []).troubles
    assert trouble.what == "gateway: 0 of 1 ready: CrashLoopBackOff: back-off 10s"


def test_a_container_that_was_killed_says_its_exit_code() -> None:
    killed = pod(
        "ledger-abc",
        "ledger",
        ready=False,
        lastState={"terminated": {"exitCode": 137}},
    )
    [trouble] = read_health([workload("Deployment", "ledger", ready=0)], [killed], []).troubles
    assert "after exit code 137" in trouble.what


def test_a_pod_that_fits_nowhere_says_why() -> None:
    pending = {
        "metadata": {"name": "ledger-abc", "labels": {"app": "ledger"}},
        "status": {
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "Insufficient memory",
                }
            ]
        },
    }
    [trouble] = read_health([workload("Deployment", "ledger", ready=0)], [pending], []).troubles
    assert "Unschedulable: Insufficient memory" in trouble.what


def test_mesh_nodes_speak_through_their_condition() -> None:
    own, other = (
        pod(f"node-{name}-xyz", "node", restartCount=count)
        for name, count in (("b", 3), ("b-2", 9))
    )
    own["metadata"]["labels"][NODE_LABEL] = "b"
    other["metadata"]["labels"][NODE_LABEL] = "b-2"
    health = read_health(
        [
            workload(
                "Deployment", "node-b", ready=0, **{"app.kubernetes.io/component": "mesh-node"}
            ),
            workload("Deployment", "gateway"),
        ],
        [own, other],
        [mesh_node("b", "False", "PodNotReady"), {"metadata": {"name": "new"}}],
    )
    assert [node.restarts for node in health.nodes] == [3, 0]
    assert [trouble.what for trouble in health.troubles] == [
        "node b: PodNotReady: see its pod",
        "node new: NotSeen: the operator has not seen it yet",
    ]


def test_an_empty_cluster_says_what_to_do() -> None:
    [trouble] = read_health([], [], []).troubles
    assert trouble.cure == "plm up"


def job(name: str, condition: str | None = None, **said: str) -> dict[str, Any]:
    conditions = [{"type": condition, "status": "True", **said}] if condition else []
    labels = {"app.kubernetes.io/name": name.partition("-")[0]}
    return {
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "status": {"conditions": conditions},
    }


def pod_of_job(name: str, of: str, created: str = "2026-01-01", **state: Any) -> dict[str, Any]:
    made = pod(name, "migrate", ready=False, state=state)
    made["metadata"] |= {
        "labels": {"batch.kubernetes.io/job-name": of},
        "creationTimestamp": created,
    }
    return made


def test_a_failed_job_is_named_with_its_reason_and_its_log() -> None:
    failed = job("migrate-1", "Failed", reason="BackoffLimitExceeded", message="gave up")
    health = read_health([workload("Deployment", "gateway")], [], [], [failed])
    [trouble] = health.troubles
    assert trouble.what == "job migrate-1: BackoffLimitExceeded: gave up"
    assert trouble.cure == "plm logs migrate"
    assert [(found.app, found.is_done) for found in health.jobs] == [("migrate", False)]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, "CrashLoopBackOff: b"),
        ({"terminated": {"exitCode": 1}}, "migrate ended with exit code 1"),
    ],
)
def test_a_job_that_fails_again_and_again_is_told_before_kubernetes_gives_it_up(
    state: dict[str, Any], why: str
) -> None:
    """By then `plm up` has long stopped waiting."""
    own = pod_of_job("migrate-1-x", "migrate-1", **state)
    [trouble] = read_health(
        [workload("Deployment", "gateway")], [own], [], [job("migrate-1")]
    ).troubles
    assert trouble.what.startswith(f"job migrate-1: {why}")


@pytest.mark.parametrize(
    "state",
    [
        {"running": {}},
        {"waiting": {"reason": "ContainerCreating"}},
        {"terminated": {"exitCode": 0}},
    ],
)
def test_a_job_at_work_is_no_trouble(state: dict[str, Any]) -> None:
    own = pod_of_job("migrate-1-x", "migrate-1", **state)
    other = pod_of_job("migrate-2-x", "migrate-2", waiting={"reason": "CrashLoopBackOff"})
    health = read_health([workload("Deployment", "gateway")], [own, other], [], [job("migrate-1")])
    assert health.troubles == ()


def test_a_job_that_is_done_may_have_failed_before() -> None:
    own = pod_of_job("migrate-1-x", "migrate-1", terminated={"exitCode": 1})
    done = job("migrate-1", "Complete")
    health = read_health([workload("Deployment", "gateway")], [own], [], [done])
    assert health.troubles == ()
    assert health.jobs[0].is_done


def test_the_newest_pod_is_that_of_the_jobs_asked_for() -> None:
    pods = [
        pod_of_job("migrate-1-x", "migrate-1", created="2026-01-01T10:00:00Z"),
        pod_of_job("migrate-2-y", "migrate-2", created="2026-01-02T09:00:00Z"),
        pod_of_job("other-1-z", "other-1", created="2026-01-03T09:00:00Z"),
    ]
    assert newest_pod_of_jobs(["migrate-1", "migrate-2"], pods) == "migrate-2-y"
    assert newest_pod_of_jobs(["migrate-3"], pods) is None
