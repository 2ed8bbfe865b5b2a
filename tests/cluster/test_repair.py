"""Children of a MeshNode that are deleted, edited or scaled by hand are repaired, five seconds at most."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

REPAIRED_WITHIN_S = 5.0
NODE = "c"


def run(platform: Platform, *arguments: str) -> None:
    done = subprocess.run(
        platform.kubectl.command(*arguments), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def child(platform: Platform, kind: str, name: str) -> dict[str, Any] | None:
    found = platform.kubectl.get(kind, "--field-selector", f"metadata.name={name}")
    return dict(found[0]) if found else None


CHILDREN = [
    ("deployment", f"node-{NODE}"),
    ("service", f"node-{NODE}"),
    ("secret", f"node-{NODE}-tls"),
]


@pytest.mark.parametrize(("kind", "name"), CHILDREN)
def test_a_deleted_child_comes_back(
    platform: Platform, kind: str, name: str, tell: Callable[[str], None]
) -> None:
    before = child(platform, kind, name)
    assert before is not None
    run(platform, "delete", kind, name, "--wait=false")

    def is_back() -> bool:
        now = child(platform, kind, name)
        return now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]

    took_s = wait_until(is_back, REPAIRED_WITHIN_S, f"{kind} {name} is back")
    tell(f"repair: {kind} deleted, back after {took_s:.1f} s")
    wait_until(platform.all_nodes_ready, 30, "all nodes are Ready again")


@dataclass(frozen=True)
class Edit:
    """What somebody does to a child by hand, and how one sees that it was undone."""

    kind: str
    name: str
    patch: str
    is_undone: Callable[[dict[str, Any]], bool]


EDITS = [
    Edit(
        "deployment",
        f"node-{NODE}",
        '{"spec": {"replicas": 3}}',
        lambda found: bool(found["spec"]["replicas"] == 1),
    ),
    Edit(
        "service",
        f"node-{NODE}",
        '{"spec": {"ports": [{"name": "grpc", "port": 7443, "targetPort": 9999}]}}',
        lambda found: bool(found["spec"]["ports"][0]["targetPort"] != 9999),
    ),
    Edit(
        "secret",
        f"node-{NODE}-tls",
        '{"data": {"tls.crt": "bm90IGEgY2VydGlmaWNhdGU="}}',
        lambda found: bool(found["data"]["tls.crt"] != "bm90IGEgY2VydGlmaWNhdGU="),
    ),
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.kind)
def test_an_edited_child_is_put_right(
    platform: Platform, edit: Edit, tell: Callable[[str], None]
) -> None:
    run(platform, "patch", edit.kind, edit.name, "--patch", edit.patch)

    def is_right() -> bool:
        found = child(platform, edit.kind, edit.name)
        return found is not None and edit.is_undone(found)

    took_s = wait_until(is_right, REPAIRED_WITHIN_S, f"{edit.kind} {edit.name} is right again")
    tell(f"repair: {edit.kind} edited, right after {took_s:.1f} s")
    wait_until(platform.all_nodes_ready, 30, "all nodes are Ready again")
