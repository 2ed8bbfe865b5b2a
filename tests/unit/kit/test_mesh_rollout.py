"""`plm up` waits until the mesh nodes run what the operator has been told, and no longer than that."""

import json
from pathlib import Path
from typing import Any

import pytest
from plmkit.kubectl import ClusterUnreachable, Kubectl
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


@pytest.mark.parametrize("names", [(), ("old",), ("new", "other")])
def test_a_node_that_does_not_pull_by_the_secrets_of_now_is_named(names: tuple[str, ...]) -> None:
    told = deployment(
        "plm-operator", "any", PLM_NODE_IMAGE=NEW, PLM_NODE_IMAGE_PULL_SECRETS='["new", "more"]'
    )
    right, late = node("a"), node("b")
    for each in (right, late):
        del each["spec"]["template"]["spec"]["containers"][0]["env"]
    for each, pulled_with in ((right, ("new", "more", "theirs")), (late, names)):
        pod = each["spec"]["template"]["spec"]
        pod["imagePullSecrets"] = [{"name": name} for name in pulled_with]
    assert behind([told, right, late]) == ["b"]


def test_it_looks_until_the_last_has_rolled(tmp_path: Path) -> None:
    """The answer changes once it has been given."""
    for name, items in (("first", [operator(), node("a", OLD)]), ("then", [operator(), node("a")])):
        (tmp_path / name).write_text(json.dumps({"items": items}))
    put(tmp_path, "kubectl", f"cd {tmp_path}; cat first; cp then first")
    kubectl = Kubectl(str(tmp_path / "kubectl"), (), is_embedded=True)
    assert wait(kubectl, 0) == ["a"], "no time is left"
    (tmp_path / "first").write_text(json.dumps({"items": [operator(), node("a", OLD)]}))
    assert wait(kubectl, 30) == []


def mesh_node(name: str, *, paused: bool) -> dict[str, Any]:
    return {"kind": "MeshNode", "metadata": {"name": name}, "spec": {"paused": paused}}


def asking(folder: Path, *answers: str) -> Kubectl:
    """Each answer is a line of shell, given once; the last one for ever."""
    for number, answer in enumerate(answers):
        put(folder, f"answer-{number}", answer)
    last = len(answers) - 1
    put(
        folder,
        "kubectl",
        f"cd {folder}; number=$(cat asked 2> /dev/null || echo 0); [ $number -ge {last} ] || "
        "echo $((number + 1)) > asked; exec ./answer-$number",
    )
    return Kubectl(str(folder / "kubectl"), (), is_embedded=True)


def told(*items: dict[str, Any]) -> str:
    return f"echo '{json.dumps({'items': items})}'"


REFUSED = "echo 'The connection to the server was refused' >&2; exit 1"


def test_a_paused_node_is_named_and_not_waited_for(tmp_path: Path) -> None:
    """It stays as it is until somebody lets it go on: every `plm up` until then would wait in vain."""
    nodes = mesh_node("a", paused=True), mesh_node("b", paused=False)
    late = [told(operator(), node("a", OLD), node("b", image), *nodes) for image in (OLD, NEW)]
    assert wait(asking(tmp_path, *late, "sleep 60"), 60) == ["a"]


def test_a_look_at_a_busy_cluster_is_no_end_of_the_wait(tmp_path: Path) -> None:
    """All is deployed by then, and fifty nodes that start at once keep the API server busy."""
    late, done = (told(operator(), node("a", image)) for image in (OLD, NEW))
    assert wait(asking(tmp_path, late, REFUSED, done), 60) == []


def test_a_cluster_that_never_answers_is_said_in_the_end(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnreachable):
        wait(asking(tmp_path, REFUSED), 0)
