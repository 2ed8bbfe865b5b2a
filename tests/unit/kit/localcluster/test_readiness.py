"""When the cluster counts as ready: not by what the API server remembers of before a restart."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import KitError
from plmkit.localcluster import api, readiness
from plmkit.localcluster.api import Api, Unreachable

NOON = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC).timestamp()


def node(status: str = "True", heard: str = "2026-05-01T12:00:00Z") -> dict[str, Any]:
    pressure = {"type": "DiskPressure", "status": "False", "lastHeartbeatTime": heard}
    ready = {"type": "Ready", "status": status, "lastHeartbeatTime": heard}
    return {"status": {"conditions": [pressure, ready]}}


def pod(name: str, *ids: str, ready: str = "True", dns: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"k8s-app": "kube-dns"} if dns else {}},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"containerID": f"containerd://{each}"} for each in ids],
        },
    }


def test_a_node_is_ready_by_a_heartbeat_after_the_kubelet_s_start() -> None:
    """Heartbeats are whole seconds: one of the second in which the kubelet started counts."""
    assert readiness.node_says_ready(node(), since=NOON + 0.9)
    assert not readiness.node_says_ready(node(), since=NOON + 1)
    assert not readiness.node_says_ready(node("False"), since=0)
    assert not readiness.node_says_ready({}, since=0)


def test_a_pod_that_calls_itself_ready_with_a_dead_container_is_old_news() -> None:
    pods = [pod("fresh", "a"), pod("old", "gone"), pod("starting", "gone", ready="False")]
    assert readiness.pods_out_of_date(pods, {"a"}) == ["old"]


def test_dns_is_served_by_a_running_container() -> None:
    assert readiness.has_ready_dns([pod("dns", "a", dns=True)], {"a"})
    assert not readiness.has_ready_dns([pod("dns", "a", dns=True)], set())
    assert not readiness.has_ready_dns([pod("dns", "a", dns=True, ready="False")], {"a"})
    assert not readiness.has_ready_dns([pod("other", "a")], {"a"})


def test_waiting_in_vain_says_for_what_and_where_to_look() -> None:
    answers = iter([False, False, True])
    looks: list[str] = []

    def look() -> None:
        looks.append("at the daemons")

    readiness.wait_for(lambda: next(answers), "the node", "cat log", timeout_s=10, meanwhile=look)
    assert looks == ["at the daemons"] * 2
    with pytest.raises(KitError, match=r"waited 0 s in vain for the node") as failed:
        readiness.wait_for(lambda: False, "the node", "cat log", timeout_s=0, meanwhile=look)
    assert failed.value.cure == "cat log"


def test_an_api_server_that_is_not_there_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Api, "_request", lambda *_arguments: (_ for _ in ()).throw(Unreachable("refused"))
    )
    access = Api(tmp_path, tmp_path, tmp_path)
    assert not access.is_ready()
    assert not readiness.is_node_ready(access)
    assert not readiness.are_pods_true(access, set())


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_what_a_starting_api_server_refuses_is_asked_again(status: int) -> None:
    with pytest.raises(Unreachable, match=f"GET /readyz: {status} not yet"):
        api._content(status, b"not yet", "GET /readyz")


def test_what_will_never_be_taken_is_an_error_with_the_server_s_words() -> None:
    with pytest.raises(KitError, match=r"422 spec\.replicas: Invalid value") as refused:
        api._content(422, b"spec.replicas: Invalid value", "PATCH /x")
    assert refused.value.cure == "plm doctor; then plm up again", "no cure costs the ledger"
    assert api._content(200, b"{}", "GET /x") == b"{}"


def test_objects_are_put_where_the_api_server_has_them() -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
    }
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "plm:netpol"},
    }
    account = deployment | {"apiVersion": "v1", "kind": "ServiceAccount"}
    assert api.object_path(deployment) == "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
    assert api.object_path(role) == "/apis/rbac.authorization.k8s.io/v1/clusterroles/plm:netpol"
    assert api.object_path(account) == "/api/v1/namespaces/kube-system/serviceaccounts/coredns"
