"""A victim is found before the kill, hit by its pod's name, and back only as another container that is Ready."""

from collections.abc import Mapping
from typing import Any

import pytest
from plmkit.console import KitError
from plmkit.health import NODE_LABEL
from plmkit.victims import KilledTask, LeavingProcess, find_running
from plmop.mesh_node import manifests


def pod(
    name: str, container: str, *, ready: bool = True, node: str = "b", **metadata: Any
) -> dict[str, Any]:
    status = {"containerID": f"containerd://{container}", "ready": ready, "state": {"running": {}}}
    return {
        "metadata": {"name": name, "labels": {NODE_LABEL: node}, **metadata},
        "status": {"containerStatuses": [status]},
    }


def mesh_node(ready: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "Ready", "status": ready}]}}


class FakeCluster:
    """Answers `get pods` and `get meshnodes` from scripts; the last answer stays."""

    def __init__(self, pods: list[list[dict[str, Any]] | str], nodes: list[str]) -> None:
        self._pods = pods
        self._nodes = nodes

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        script: list[Any] = self._pods if arguments[0] == "pods" else self._nodes
        answer: Any = script.pop(0) if len(script) > 1 else script[0]
        if answer == "busy":
            raise KitError("kubectl: i/o timeout", "plm up")
        if isinstance(answer, str):
            return [mesh_node(answer)]
        pods: list[Mapping[str, Any]] = answer
        if "-l" not in arguments:
            return pods
        label, _, value = arguments[-1].partition("=")
        return [pod for pod in pods if pod["metadata"]["labels"][label] == value]


def test_the_right_pod_is_found_among_others_and_leaving_ones() -> None:
    pods = [
        pod("node-b-old", "c0", deletionTimestamp="now"),
        pod("node-b-new", "c1"),
        pod("node-bb-x", "c2", node="bb"),
        pod("node-b-2-x", "c3", node="b-2"),
    ]
    running = find_running("b", FakeCluster([pods], ["True"]))
    assert (running.pod, running.container_id) == ("node-b-new", "c1")


def test_the_label_is_the_operators() -> None:
    assert manifests.NODE_LABEL == NODE_LABEL


@pytest.mark.parametrize("pods", [[], [pod("node-b-x", "c1"), pod("node-b-y", "c2")]])
def test_no_or_two_containers_are_no_victim(pods: list[dict[str, Any]]) -> None:
    with pytest.raises(KitError, match="running containers"):
        find_running("b", FakeCluster([pods], ["True"]))


async def test_the_kill_names_the_pod_that_was_there_before() -> None:
    killed: list[str] = []
    cluster = FakeCluster([[pod("node-b-x", "c1")], [pod("node-b-y", "c2")]], ["True"])
    await KilledTask("b", cluster, killed.append).kill()
    assert killed == ["node-b-x"]


async def test_back_means_another_container_and_a_ready_mesh_node() -> None:
    same, restarting, back = (
        [pod("node-b-x", "c1")],
        [pod("node-b-x", "c2", ready=False)],
        [pod("node-b-x", "c2")],
    )
    cluster = FakeCluster([same, same, [], restarting, back], ["False", "True"])
    victim = KilledTask("b", cluster, lambda _: None)
    await victim.wait_until_back()
    assert cluster.get("pods") == back
    assert cluster.get("meshnodes.plm.dev")[0] == mesh_node("True")


async def test_an_api_server_that_is_busy_for_a_moment_is_asked_again() -> None:
    """The report of a demo whose money has moved is not lost for that."""
    cluster = FakeCluster(
        [[pod("node-b-x", "c1")], "busy", [pod("node-b-x", "c2")]],
        ["busy", "True"],
    )
    victim = KilledTask("b", cluster, lambda _: None)
    await victim.wait_until_back()
    assert cluster.get("meshnodes.plm.dev")[0] == mesh_node("True")


async def test_elsewhere_the_node_is_told_to_leave() -> None:
    told: list[str] = []

    class Leaver:
        async def exit_node(self, node: str) -> None:
            told.append(node)

    await LeavingProcess("b", FakeCluster([[pod("node-b-x", "c1")]], ["True"]), Leaver()).kill()
    assert told == ["b"]
