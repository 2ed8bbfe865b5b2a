"""The whole operator against a real API server: what it makes, what it repairs, what it says, what it leaves behind.

It runs with the rights of its Role and no others, beside an aggregated API that is broken.
"""

import json
from typing import Any

import pytest
from plmop.mesh_node.manifests import SPEC_HASH
from support.postgres import ROOT
from support.stage import Replica, Stage, link, make_ready, mesh_node
from support.waiting import wait_until

pytestmark = pytest.mark.stores

REPAIRED_WITHIN_S = 5.0


def test_two_linked_nodes_become_ready(stage: Stage, operator: Replica) -> None:
    """Either is Ready, whichever came first, and the ledger knows both with their money."""
    make_ready(stage, mesh_node("a", links=[link("b", "25000.00", baseFee="1.00")]), mesh_node("b"))
    status = stage.node("a")["status"]
    assert status["phase"] == "Ready"
    assert status["peers"] == "1/1"
    assert status["liquidity"] == "25000.00 USD"
    assert stage.ledger.books.accounts["link/a/b"].posted == 2_500_000
    assert [condition["type"] for condition in status["conditions"]] == [
        "Ready", "Progressing", "Degraded", "Reconciling", "Stalled",
    ]  # fmt: skip
    events = json.loads(stage.api.do("get", "events", "-n", "plm", "-o", "json"))["items"]
    assert "Ready" in {event["reason"] for event in events}


def test_kubectl_waits_for_it_and_shows_its_columns(stage: Stage, operator: Replica) -> None:
    make_ready(stage, mesh_node("a"), mesh_node("b"))
    stage.api.do("wait", "-n", "plm", "--for=condition=Ready", "mn", "--all", "--timeout=60s")
    head, *lines = stage.api.do("get", "plm", "-n", "plm").splitlines()
    assert head.split() == ["NAME", "READY", "PHASE", "PEERS", "LIQUIDITY", "CERT-EXPIRY", "AGE"]
    assert lines[0].split()[:3] == ["a", "True", "Ready"]
    assert "currency" in stage.api.do("explain", "meshnode.spec")


def test_it_leaves_no_trace_of_kopf(stage: Stage, operator: Replica) -> None:
    """No finalizer, and no annotation but our own: everything can be deleted while the operator is dead."""
    make_ready(stage, mesh_node("c"))
    for kind, name in (("meshnode", "c"), ("deployment", "node-c"), ("secret", "node-c-tls")):
        found = stage.api.get(kind, name)
        assert found is not None
        assert "finalizers" not in found["metadata"]
        marks = found["metadata"].get("annotations", {}).keys() - {SPEC_HASH}
        assert not [key for key in marks if "kopf" in key or "plm.dev" in key]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("deployment", "node-a"),
        ("service", "node-a"),
        ("secret", "node-a-tls"),
        ("secret", "edge-tls"),
    ],
)
def test_a_deleted_child_comes_back(stage: Stage, operator: Replica, kind: str, name: str) -> None:
    make_ready(stage, mesh_node("a"))
    before = stage.api.get(kind, name)
    assert before is not None
    stage.api.do("delete", kind, name, "-n", "plm", "--wait=false")

    def is_back() -> bool:
        now = stage.api.get(kind, name)
        return now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]

    wait_until(is_back, REPAIRED_WITHIN_S, f"{kind} {name} is back")


EDITS: list[tuple[str, str, dict[str, Any]]] = [
    ("deployment", "node-a", {"spec": {"replicas": 3}}),
    ("service", "node-a", {"spec": {"selector": {"plm.dev/node": "b"}}}),
    ("service", "node-a", {"metadata": {"labels": None}}),
    ("secret", "node-a-tls", {"data": {"tls.crt": "bm90IGEgY2VydGlmaWNhdGU="}}),
    ("deployment", "node-a", {"metadata": {"ownerReferences": None}}),
]


@pytest.mark.parametrize(("kind", "name", "patch"), EDITS)
def test_an_edited_child_is_put_right(
    stage: Stage, operator: Replica, kind: str, name: str, patch: dict[str, Any]
) -> None:
    make_ready(stage, mesh_node("a"))
    before = stage.api.get(kind, name)
    stage.api.do("patch", kind, name, "-n", "plm", "--type=merge", "-p", json.dumps(patch))
    edited = next(iter(patch))

    def is_right() -> bool:
        now = stage.api.get(kind, name)
        assert now is not None
        assert before is not None
        if kind == "secret":
            return bool(now["data"]["tls.crt"] != patch["data"]["tls.crt"])
        if edited == "metadata":
            key = next(iter(patch["metadata"]))
            return bool(now["metadata"].get(key) == before["metadata"][key])
        return bool(now["spec"] == before["spec"])

    wait_until(is_right, REPAIRED_WITHIN_S, f"{kind} {name} is right again")


def test_what_others_add_stays(stage: Stage, operator: Replica) -> None:
    """Server-side apply with our own field manager: an annotation of somebody else is not ours to remove."""
    make_ready(stage, mesh_node("a"))
    stage.api.do("annotate", "deployment", "node-a", "-n", "plm", "team=blue")
    stage.api.do("scale", "deployment", "node-a", "-n", "plm", "--replicas=2")

    def deployment() -> dict[str, Any]:
        found = stage.api.get("deployment", "node-a")
        assert found is not None
        return found

    wait_until(
        lambda: deployment()["spec"]["replicas"] == 1, REPAIRED_WITHIN_S, "one replica again"
    )
    assert deployment()["metadata"]["annotations"]["team"] == "blue"


def test_it_takes_over_nothing_that_others_made(stage: Stage, operator: Replica) -> None:
    """It says what is in the way, and goes on by itself as soon as that is gone."""
    stage.api.do("create", "deployment", "node-n07", "-n", "plm", "--image=somebody/else")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "node-n07-tls", "namespace": "plm"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": "theirs", "tls.key": "theirs"},
    }
    assert stage.api.apply(secret).returncode == 0
    kinds = (("deployment", "node-n07"), ("secret", "node-n07-tls"))
    before = [stage.api.get(*each) for each in kinds]
    stage.api.apply(mesh_node("n07"))
    wait_until(lambda: stage.ready("n07") == ("False", "NameTaken"), 20, "it says so")
    for was, each in zip(before, kinds, strict=True):
        now = stage.api.get(*each)
        assert was is not None
        assert now is not None
        assert now["metadata"]["uid"] == was["metadata"]["uid"]
        assert now.get("data") == was.get("data")
        assert now.get("spec") == was.get("spec")
    for kind, name in kinds:
        stage.api.do("delete", kind, name, "-n", "plm")
    wait_until(lambda: stage.is_ready("n07"), 10, "n07 is Ready")


def test_paused_says_so_and_is_left_alone(stage: Stage, operator: Replica) -> None:
    make_ready(stage, mesh_node("a"))
    stage.api.apply(mesh_node("a", paused=True))
    wait_until(lambda: stage.ready("a") == ("Unknown", "Paused"), 20, "it is paused")
    stage.api.do("delete", "service", "node-a", "-n", "plm")
    stage.api.apply(mesh_node("b"))
    wait_until(lambda: stage.ready("b") == ("True", "Ready"), 10, "others go on")
    assert stage.api.get("service", "node-a") is None
    make_ready(stage, mesh_node("a"))
    assert stage.api.get("service", "node-a") is not None


def test_a_withdrawal_that_is_not_covered_degrades(stage: Stage, operator: Replica) -> None:
    make_ready(stage, mesh_node("e", links=[link("f", "10.00")]), mesh_node("f"))
    stage.ledger.books.accounts["link/e/f"].held = 900
    stage.api.apply(mesh_node("e", links=[link("f", "5.00")]))
    wait_until(lambda: stage.ready("e") == ("False", "InsufficientFunds"), 10, "it is said")
    assert stage.node("e")["status"]["phase"] == "Degraded"
    stage.ledger.books.accounts["link/e/f"].held = 0
    make_ready(stage, mesh_node("e", links=[link("f", "10.00")]), mesh_node("f"))


def test_a_node_that_stops_serving_is_not_ready(stage: Stage, operator: Replica) -> None:
    """kubelet's probes may be content: what counts is what the node itself says over mutual TLS."""
    stage.set_serving(serving=False)
    stage.api.apply(mesh_node("g"))
    wait_until(lambda: stage.ready("g") == ("False", "WaitingForHealth"), 10, "it does not serve")
    stage.set_serving(serving=True)
    wait_until(lambda: stage.ready("g") == ("True", "Ready"), 10, "it serves")


def test_a_deleted_node_leaves_the_mesh_and_its_money_stays(
    stage: Stage, operator: Replica
) -> None:
    make_ready(stage, mesh_node("g", links=[link("h", "3.00")]), mesh_node("h"))
    stage.api.do("delete", "meshnode", "g", "-n", "plm")
    wait_until(lambda: not stage.ledger.books.nodes["g"].enabled, 20, "g is disabled")
    assert stage.ledger.books.accounts["link/g/h"].posted == 300


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_examples_do_what_they_say(stage: Stage, operator: Replica, path: Any) -> None:
    said = stage.api.do("apply", "-n", "plm", "-f", str(path), "-o", "name")
    expected = ("Unknown", "Paused") if "paused" in path.name else ("True", "Ready")
    for line in said.split():
        name = line.rpartition("/")[2]
        wait_until(lambda name=name: stage.ready(name) == expected, 15, f"{name} is {expected}")  # type: ignore[misc] # a bound default
