"""The Secrets by which mesh nodes pull, against a real API server, which merges their list with what others wrote."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from support.stage import Stage, make_ready, mesh_node
from support.waiting import wait_until

pytestmark = pytest.mark.stores


def deployment(stage: Stage) -> dict[str, Any]:
    found = stage.api.get("deployment", "node-a")
    assert found is not None
    return found


def is_pulled_with(stage: Stage, names: set[str]) -> bool:
    secrets = deployment(stage)["spec"]["template"]["spec"].get("imagePullSecrets", [])
    return {each["name"] for each in secrets} == names


def test_nodes_that_are_there_pull_by_the_secrets_of_now_and_by_what_others_gave_them(
    stage: Stage,
) -> None:
    """Each list is another life of the operator, as Pulumi gives it one with each change of its settings."""
    lives: Sequence[tuple[list[str], set[str]]] = (
        (["one", "two"], {"one", "two"}),
        (["two"], {"two", "theirs"}),
        ([], {"theirs"}),
    )
    try:
        for names, expected in lives:
            operator = stage.operator(PLM_NODE_IMAGE_PULL_SECRETS=json.dumps(names))
            operator.start()
            try:
                make_ready(stage, mesh_node("a"))
                wait_until(partial(is_pulled_with, stage, expected), 30, f"pulling with {names}")
            finally:
                operator.stop()
            if "one" in names:
                other = {"spec": {"template": {"spec": {"imagePullSecrets": [{"name": "theirs"}]}}}}
                patch = json.dumps(other)
                stage.api.do("patch", "deployment", "node-a", "-n", "plm", "-p", patch)
    finally:
        stage.clear()
