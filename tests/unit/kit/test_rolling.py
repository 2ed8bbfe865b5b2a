"""What `plm dev` patches, in which order, and what it leaves to Pulumi."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import KitError
from plmkit.kubectl import Kubectl
from plmkit.rolling import beyond_patches, in_order, look, outdated, patch_of, roll
from support.programs import put

OLD, NEW = "plm.local/services@sha256:1", "plm.local/services@sha256:2"
STORE = "plm.local/postgres@sha256:7"
REFERENCES = {"services": NEW, "operator": "plm.local/operator@sha256:9", "postgres": STORE}
SAME = {"sha256:1": "m1", "sha256:2": "m1"}


def deployment(image: str, **environment: str) -> dict[str, Any]:
    container = {
        "name": "it",
        "image": image,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def named(name: str, image: str, kind: str = "Deployment", **metadata: Any) -> dict[str, Any]:
    return {**deployment(image), "kind": kind, "metadata": {"name": name, **metadata}}


def job(image: str, at: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "migrate"}
    return named("migrate-0a1b", image, "Job", labels=labels, creationTimestamp=at)


def changes(patch: Mapping[str, Any] | None) -> dict[str, Any]:
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


def test_mesh_nodes_are_their_operator_s_to_roll_and_jobs_nobody_s() -> None:
    node = named("node-a", OLD, ownerReferences=[{"kind": "MeshNode"}])
    assert set(outdated([node, job(OLD), named("gateway", OLD)], REFERENCES)) == {"gateway"}


def test_services_come_first_and_whoever_starts_all_nodes_anew_last() -> None:
    patches = {
        "plm-operator": patch_of(deployment("o", PLM_NODE_IMAGE=OLD), REFERENCES) or {},
        "gateway": patch_of(deployment(OLD), REFERENCES) or {},
        "ledger": patch_of(deployment(OLD), REFERENCES) or {},
    }
    assert in_order(patches) == [["gateway", "ledger"], ["plm-operator"]]
    assert in_order({}) == []


def test_code_alone_is_patched() -> None:
    objects = [named("gateway", OLD), named("pg", STORE, "StatefulSet"), job(OLD)]
    assert beyond_patches(objects, REFERENCES, SAME) == ""
    assert beyond_patches([job(NEW)], REFERENCES, {}) == "", "it has run this very image"


def test_a_store_with_a_new_image_is_pulumi_s_work() -> None:
    store = named("pg", "plm.local/postgres@sha256:6", "StatefulSet")
    assert beyond_patches([store, job(OLD)], REFERENCES, SAME) == "pg has a new image"


@pytest.mark.parametrize(
    "carried", [{"sha256:1": "m1", "sha256:2": "m2"}, {"sha256:2": "m2"}, {"sha256:1": "m1"}, {}]
)
def test_a_changed_migration_is_pulumi_s_work_and_so_is_one_that_nobody_can_tell(
    carried: Mapping[str, str],
) -> None:
    assert beyond_patches([job(OLD)], REFERENCES, carried) == "migrations have changed"


def test_the_newest_migration_counts() -> None:
    older, newer = job(NEW, "2026-01-01T00:00:00Z"), job(OLD, "2026-01-02T00:00:00Z")
    carried = {"sha256:1": "m1", "sha256:2": "m2"}
    assert beyond_patches([newer, older], REFERENCES, carried) == "migrations have changed"
    other = named("backup", NEW, "Job", creationTimestamp="2026-01-03T00:00:00Z")
    assert beyond_patches([newer, older, other], REFERENCES, carried) == "migrations have changed"


def test_where_no_migration_has_run_pulumi_runs_it() -> None:
    assert beyond_patches([named("gateway", OLD)], REFERENCES, SAME) == "no migration has run"


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    binary = put(tmp_path, "kubectl", f'shift 2; echo "$@" >> {tmp_path / "asked"}')
    return Kubectl(str(binary), (), is_embedded=True)


def asked(folder: Path) -> list[str]:
    return [" ".join(line.split()[:4]) for line in (folder / "asked").read_text().splitlines()]


def test_all_of_a_round_are_patched_then_waited_for_before_the_next(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    patches = {
        "plm-operator": patch_of(deployment("o", PLM_NODE_IMAGE=OLD), REFERENCES) or {},
        "gateway": patch_of(deployment(OLD), REFERENCES) or {},
        "ledger": patch_of(deployment(OLD), REFERENCES) or {},
    }
    roll(kubectl, patches)
    calls = asked(tmp_path)
    assert sorted(calls[:2]) == [
        f"patch deployment {name} --patch" for name in ("gateway", "ledger")
    ]
    assert sorted(calls[2:4]) == [
        f"rollout status deployment {each}" for each in ("gateway", "ledger")
    ]
    assert calls[4:] == [
        "patch deployment plm-operator --patch",
        "rollout status deployment plm-operator",
    ]


def test_a_pod_that_does_not_come_is_told_at_once_and_the_others_are_not_waited_for(
    tmp_path: Path,
) -> None:
    script = 'case "$*" in *patch*) ;; *gateway*) echo "timed out" >&2; exit 1 ;; *) exec sleep 60 ;; esac'
    kubectl = Kubectl(str(put(tmp_path, "kubectl", script)), (), is_embedded=True)
    patches = {name: patch_of(deployment(OLD), REFERENCES) or {} for name in ("gateway", "ledger")}
    began = time.monotonic()
    with pytest.raises(KitError, match="kubectl rollout: timed out"):
        roll(kubectl, patches)
    assert time.monotonic() - began < 30


def test_one_look_sees_all_that_may_run_our_images(tmp_path: Path) -> None:
    answer = json.dumps({"items": [named("gateway", OLD)]})
    script = f"echo \"$@\" > {tmp_path / 'asked'}; echo '{answer}'"
    kubectl = Kubectl(str(put(tmp_path, "kubectl", script)), (), is_embedded=True)
    assert [item["metadata"]["name"] for item in look(kubectl)] == ["gateway"]
    assert "get deployments,statefulsets,jobs" in (tmp_path / "asked").read_text()
