"""Where a cluster cannot get an image, `plm status` says which and why, and never sends anybody to an empty log."""

from typing import Any

import pytest
from plmkit.health import JOB_LABEL, NODE_LABEL, read_health
from plmkit.image_pulls import find_failed_pull

IMAGE = "registry.example:5000/plm/services@sha256:01"
BACK_OFF = "Back-off pulling image: 401 Unauthorized"
REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ImageInspectError",
    "ErrImageNeverPull",
)


def waiting_pod(name: str, *secrets: str, reason: str, **labels: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": BACK_OFF}}
    status = {"name": "app", "ready": False, "restartCount": 0, "image": IMAGE, "state": state}
    spec: dict[str, Any] = {"containers": [{"name": "app", "image": IMAGE}]}
    if secrets:
        spec["imagePullSecrets"] = [{"name": each} for each in secrets]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"containerStatuses": [status]},
    }


GATEWAY = {
    "kind": "Deployment",
    "metadata": {"name": "gateway"},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "gateway"}}},
}
MIGRATE = {"metadata": {"name": "migrate-1", "labels": {"app.kubernetes.io/name": "migrate"}}}
NODE = {"metadata": {"name": "b"}}


def troubles(context: str | None, *secrets: str, reason: str) -> list[tuple[str, str]]:
    """Of a service, a job and a mesh node that wait for the image."""
    pods = [
        waiting_pod("gateway-x", *secrets, reason=reason, app="gateway"),
        waiting_pod("migrate-1-x", *secrets, reason=reason, **{JOB_LABEL: "migrate-1"}),
        waiting_pod("node-b-x", *secrets, reason=reason, **{NODE_LABEL: "b"}),
    ]
    found = read_health([GATEWAY], pods, [NODE], [MIGRATE], context=context).troubles
    return [(each.what, each.cure) for each in found]


@pytest.mark.parametrize("reason", REASONS)
def test_whoever_waits_for_an_image_is_told_with_its_name_and_the_reason(reason: str) -> None:
    said = f"no image {IMAGE}: {reason}: {BACK_OFF}"
    found = troubles(None, reason=reason)
    expected = [f"job migrate-1: {said}", f"gateway: 0 of 1 ready: {said}", f"node b: {said}"]
    assert [what for what, _ in found] == expected
    assert "plm logs" not in str(found)


def test_a_new_pod_without_its_image_is_told_though_the_one_of_before_serves_on() -> None:
    """After a `plm up` that failed for that: all that is ready would look well."""
    serving = {**GATEWAY, "status": {"readyReplicas": 1}}
    late = waiting_pod("gateway-y", reason="ImagePullBackOff", app="gateway")
    [trouble] = read_health([serving], [late], []).troubles
    assert trouble.what.startswith(f"gateway: 1 of 1 ready: no image {IMAGE}: ")


def test_a_pod_that_is_going_is_no_trouble_though_it_never_got_its_image() -> None:
    """As the one of a `plm up` that failed, in the moment in which the next one has mended it."""
    serving = {**GATEWAY, "status": {"readyReplicas": 1}}
    going = waiting_pod("gateway-y", reason="ImagePullBackOff", app="gateway")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert read_health([serving], [going], []).troubles == ()


def test_the_embedded_cluster_gets_its_images_from_plm_up() -> None:
    """`plm images` alone builds them, and nobody pulls there."""
    cures = {cure for _, cure in troubles(None, reason="ErrImageNeverPull")}
    assert cures == {"plm up, which builds images and imports what the cluster lacks"}


def test_elsewhere_the_registry_is_named_and_that_it_may_ask_who_pulls() -> None:
    [cure] = {cure for _, cure in troubles("team/x", reason="ImagePullBackOff")}
    assert cure == (
        "plm up --context team/x, which pushes it; where registry.example:5000 asks who pulls,"
        " before it: plm stack init --context team/x --registry-login FILE"
    )


def test_elsewhere_a_pod_that_pulls_by_a_login_may_need_another() -> None:
    [cure] = {cure for _, cure in troubles("prod", "one", "two", reason="ErrImagePull")}
    assert cure == (
        "plm up --context prod, which pushes it; where registry.example:5000 knows that login no"
        " more, before it: plm stack init --context prod --registry-login FILE"
    )


def test_elsewhere_a_policy_that_never_pulls_is_named() -> None:
    """Pushing the image once more would change nothing."""
    [cure] = {cure for _, cure in troubles("prod", reason="ErrImageNeverPull")}
    assert cure.startswith("plm:imagePullPolicy: IfNotPresent in the stack's file")
    assert cure.endswith("then plm up --context prod")


@pytest.mark.parametrize("reason", ["ContainerCreating", "CrashLoopBackOff"])
def test_who_waits_for_something_else_has_its_image(reason: str) -> None:
    assert find_failed_pull([waiting_pod("gateway-x", reason=reason)]) is None
    cures = dict(troubles(None, reason=reason)).values()
    assert all("plm logs" in cure for cure in cures)


def test_a_pod_that_nothing_is_known_of_waits_for_no_image() -> None:
    running = waiting_pod("a", reason="ErrImagePull")
    running["status"]["containerStatuses"][0]["state"] = {"running": {}}
    assert find_failed_pull([{"metadata": {"name": "new"}}, running]) is None


def test_a_reason_without_words_stands_alone() -> None:
    pod = waiting_pod("a", reason="InvalidImageName")
    del pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    found = find_failed_pull([pod])
    assert found is not None
    assert found.what == f"no image {IMAGE}: InvalidImageName"
