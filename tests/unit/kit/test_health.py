"""What `plm status` makes of Kubernetes objects: each trouble in one sentence with the next command."""

from typing import Any

from plmkit.health import read_health


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
    node_pod = pod("node-b-xyz", "node-b", restartCount=3)
    health = read_health(
        [
            workload(
                "Deployment", "node-b", ready=0, **{"app.kubernetes.io/component": "mesh-node"}
            ),
            workload("Deployment", "gateway"),
        ],
        [node_pod],
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
