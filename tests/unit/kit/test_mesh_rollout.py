"""`plm up` waits until the mesh nodes run what the operator has been told, and no longer than that."""

import json
from pathlib import Path
from typing import Any

import pytest
from plmkit.kubectl import Kubectl
from plmkit.mesh_rollout import behind, wait
from support.programs import put

OLD, NEW = "plm.local/services@sha256:1", "plm.local/services@sha256:2"


def deployment(name: str, image: str, **environment: str) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in environment.items()]
    pod = {"containers": [{"image": image, "env": env}]}
    return {"metadata": {"name": name}, "spec": {"template": {"spec": pod}}}


def operator(image: str = NEW, debug: str = "false") -> dict[str, Any]:
    return deployment("plm-operator", "any", PLM_NODE_IMAGE=image, PLM_DEBUG_ENABLED=debug)


def node(name: str, image: str = NEW, debug: str = "false", **status: int) -> dict[str, Any]:
    made = deployment(f"node-{name}", image, PLM_DEBUG_ENABLED=debug)
    made["metadata"] |= {"generation": 3, "ownerReferences": [{"kind": "MeshNode", "name": name}]}
    made["spec"]["replicas"] = 1
    rolled = {"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    made["status"] = rolled | status
    return made


def test_nodes_that_run_what_they_should_are_waited_for_no_longer() -> None:
    gateway = deployment("gateway", OLD)
    assert behind([operator(), gateway, node("a"), node("b")]) == []
    assert behind([gateway]) == []
    assert behind([]) == []


@pytest.mark.parametrize(
    "late",
    [
        node("b", image=OLD),
        node("b", debug="true"),
        node("b", observedGeneration=2),
        node("b", replicas=2),
        node("b", updatedReplicas=0),
        node("b", availableReplicas=0),
    ],
)
def test_a_node_that_has_not_rolled_yet_is_named(late: dict[str, Any]) -> None:
    assert behind([operator(), node("a"), late]) == ["b"]


def test_it_looks_until_the_last_has_rolled(tmp_path: Path) -> None:
    """The answer changes once it has been given."""
    for name, items in (("first", [operator(), node("a", OLD)]), ("then", [operator(), node("a")])):
        (tmp_path / name).write_text(json.dumps({"items": items}))
    put(tmp_path, "kubectl", f"cd {tmp_path}; cat first; cp then first")
    kubectl = Kubectl(str(tmp_path / "kubectl"), (), is_embedded=True)
    assert wait(kubectl, 0) == ["a"], "no time is left"
    (tmp_path / "first").write_text(json.dumps({"items": [operator(), node("a", OLD)]}))
    assert wait(kubectl, 30) == []
