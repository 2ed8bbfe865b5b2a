"""What `plm dev` patches, and in which order."""

from typing import Any

from plmkit.rolling import in_order, patch_of

OLD, NEW = "plm.local/services@sha256:1", "plm.local/services@sha256:2"
REFERENCES = {"services": NEW, "operator": "plm.local/operator@sha256:9"}


def deployment(image: str, **environment: str) -> dict[str, Any]:
    container = {
        "name": "it",
        "image": image,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def changes(patch: dict[str, Any] | None) -> dict[str, Any]:
    assert patch is not None
    [container] = patch["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_what_runs_an_older_image_gets_the_new_one() -> None:
    assert changes(patch_of(deployment(OLD), REFERENCES)) == {"name": "it", "image": NEW}


def test_what_is_up_to_date_or_not_ours_is_left_alone() -> None:
    assert patch_of(deployment(NEW), REFERENCES) is None
    assert patch_of(deployment("docker.io/library/redis@sha256:3"), REFERENCES) is None


def test_the_operator_is_told_the_image_of_its_nodes() -> None:
    operator = deployment(REFERENCES["operator"], PLM_NODE_IMAGE=OLD)
    found = changes(patch_of(operator, REFERENCES))
    assert found == {"name": "it", "env": [{"name": "PLM_NODE_IMAGE", "value": NEW}]}


def test_services_come_first_and_whoever_starts_all_nodes_anew_last() -> None:
    patches = {
        "plm-operator": patch_of(deployment("o", PLM_NODE_IMAGE=OLD), REFERENCES) or {},
        "gateway": patch_of(deployment(OLD), REFERENCES) or {},
        "ledger": patch_of(deployment(OLD), REFERENCES) or {},
    }
    assert in_order(patches) == [["gateway", "ledger"], ["plm-operator"]]
    assert in_order({}) == []
