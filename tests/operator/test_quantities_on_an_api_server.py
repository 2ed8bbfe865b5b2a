"""Sizes as people write them, against a real API server, which writes them down in its own way."""

import json

import pytest
from plmop.likeness import is_covered
from support.stage import Stage, make_ready, mesh_node

pytestmark = pytest.mark.stores

SPELLINGS = [
    "1024Mi", "1Gi", "1073741824", "1000M", "0.1Gi", "1.5Gi", ".5G", "1.", "1e9", "1E9",
    "128974848000m", "0.3Ki", "123456789n", "1500u", "0.5m", "100e-1",
]  # fmt: skip


def test_whatever_the_server_makes_of_a_quantity_covers_it(stage: Stage) -> None:
    """And some spellings do come back as others, or this would show nothing."""
    desired = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "sizes", "namespace": "plm"},
        "spec": {
            "containers": [
                {
                    "name": f"c{place}",
                    "image": "none",
                    "resources": {"requests": {"memory": text}, "limits": {"memory": text}},
                }
                for place, text in enumerate(SPELLINGS)
            ]
        },
    }
    said = stage.api.do(
        "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(desired)
    )
    present = json.loads(said)
    assert is_covered(desired, present)
    stored = [each["resources"]["limits"]["memory"] for each in present["spec"]["containers"]]
    assert sum(text != back for text, back in zip(SPELLINGS, stored, strict=True)) > 5


def test_a_node_becomes_ready_whatever_the_spelling_of_its_size(stage: Stage) -> None:
    sizes = {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": 1, "memory": "2048Mi"}}
    operator = stage.operator(PLM_NODE_RESOURCES=json.dumps(sizes))
    operator.start()
    try:
        make_ready(stage, mesh_node("a"))
        found = stage.api.get("deployment", "node-a")
        assert found is not None
        [container] = found["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    finally:
        operator.stop()
        stage.clear()
