"""The whole operator against a real API server: what it makes, what it repairs, what it says, what it leaves behind."""

import json

import pytest
from support.mesh import Service
from support.stage import Stage, link, mesh_node
from support.waiting import wait_until

pytestmark = pytest.mark.stores


def make_ready(stage: Stage, *manifests: dict[str, object]) -> None:
    done = stage.api.apply(*manifests)
    assert done.returncode == 0, done.stderr
    for manifest in manifests:
        name = manifest["metadata"]["name"]  # type: ignore[index] # made by mesh_node
        wait_until(lambda: stage.ready(name) == ("True", "Ready"), 20, f"{name} is Ready")  # noqa: B023 - waited for at once


def test_two_linked_nodes_become_ready(stage: Stage, operator: Service) -> None:
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


def test_it_leaves_no_trace_of_kopf(stage: Stage, operator: Service) -> None:
    """No finalizer and no annotation: everything can be deleted while the operator is dead."""
    make_ready(stage, mesh_node("c"))
    for kind, name in (("meshnode", "c"), ("deployment", "node-c"), ("secret", "node-c-tls")):
        found = stage.api.get(kind, name)
        assert found is not None
        assert "finalizers" not in found["metadata"]
        annotations = found["metadata"].get("annotations", {})
        assert not [key for key in annotations if "kopf" in key or "plm.dev" in key]
