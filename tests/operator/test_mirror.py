"""The mirror: it never goes back, loses nothing for longer than a resync, and holds nobody else's secrets."""

from typing import Any

import pytest
from plmop.actions import API_VERSION, MANAGED_BY
from plmop.mirror import Mirror


def version(number: int, name: str = "a") -> dict[str, object]:
    return {"metadata": {"name": name, "resourceVersion": str(number)}, "number": number}


def test_the_mirror_never_goes_back() -> None:
    """Streams repeat and lag: an older state is no news, and a deleted object does not rise again."""
    mirror = Mirror()
    assert mirror.saw("Pod", version(5))
    assert not mirror.saw("Pod", version(5))
    assert not mirror.saw("Pod", version(4))
    assert not mirror.lost("Pod", version(4)), "its successor stays"
    assert mirror.lost("Pod", version(6))
    assert not mirror.saw("Pod", version(5))
    assert mirror.get("Pod", "a") is None
    assert mirror.saw("Pod", version(7))


def test_a_list_replaces_all_but_what_is_newer() -> None:
    mirror = Mirror()
    for found in (version(1, "gone"), version(2, "old"), version(9, "young")):
        mirror.saw("Pod", found)
    mirror.saw("Node", version(1, "other-kind"))
    differing = mirror.replace("Pod", [version(3, "old"), version(4, "new")], version=5)
    assert differing == ["gone", "new", "old"]
    assert {str(found["metadata"]["name"]) for found in mirror.of_kind("Pod")} == {
        "old", "new", "young",
    }  # fmt: skip
    assert mirror.get("Node", "other-kind") is not None


def test_a_list_that_was_read_before_a_deletion_does_not_undo_it() -> None:
    mirror = Mirror()
    mirror.saw("Pod", version(1))
    mirror.lost("Pod", version(3))
    mirror.replace("Pod", [version(1)], version=2)
    assert mirror.get("Pod", "a") is None


def test_an_answer_that_is_later_than_the_deletion_raises_nothing() -> None:
    """Our apply made an object, somebody deleted it, and the stream was faster than the answer to the apply."""
    mirror = Mirror()
    assert not mirror.lost("Pod", version(6)), "nothing of it was known"
    assert not mirror.saw("Pod", version(5))
    assert mirror.get("Pod", "a") is None
    assert not mirror.lost("Pod", version(4)), "an older deletion digs no shallower grave"
    assert not mirror.saw("Pod", version(5))
    assert mirror.saw("Pod", version(7)), "its successor is seen"


def test_the_mirror_leaves_out_who_manages_what() -> None:
    mirror = Mirror()
    mirror.saw("Pod", {"metadata": {"name": "a", "resourceVersion": "1", "managedFields": [1]}})
    found = mirror.get("Pod", "a")
    assert found is not None
    assert "managedFields" not in found["metadata"]


def secret(name: str, **metadata: object) -> dict[str, Any]:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "a precious password"}
    return {
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "resourceVersion": "1", "annotations": applied, **metadata},
        "data": {"password": "a precious password"},
    }


def test_the_mirror_holds_the_contents_of_no_secret_that_is_not_ours() -> None:
    """Lists and watches bring them all. Their names are remembered, for nothing may be put in their place."""
    mirror = Mirror()
    mirror.saw("Secret", secret("pg-superuser", labels={"app.kubernetes.io/managed-by": "Helm"}))
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "uid": "u", "controller": True}
    mirror.replace("Secret", [secret("node-a-tls", ownerReferences=[owner])], version=2)
    mirror.saw("Secret", secret("gateway-api-keys"))
    assert "precious" not in repr(vars(mirror))
    found = mirror.get("Secret", "node-a-tls")
    assert found is not None
    assert (found["type"], found["metadata"]["ownerReferences"]) == ("Opaque", [owner])


@pytest.mark.parametrize(
    "ours",
    [
        secret("plm-ca"),
        secret("ledger-tls", labels=MANAGED_BY),
        secret("plm-trust", annotations={"plm.dev/trusted-since": "0.0"}),
        secret(
            "node-a-tls",
            ownerReferences=[{"apiVersion": API_VERSION, "kind": "MeshNode", "controller": True}],
        ),
    ],
    ids=lambda found: str(found["metadata"]["name"]),
)
def test_the_mirror_holds_the_contents_of_those_that_are(ours: dict[str, Any]) -> None:
    mirror = Mirror()
    mirror.saw("Secret", ours)
    found = mirror.get("Secret", ours["metadata"]["name"])
    assert found is not None
    assert found["data"] == ours["data"]
