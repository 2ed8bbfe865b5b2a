"""The steps of `plm up` and `plm images`: their order, what each gets from the one before it, and where they end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plmkit import doctor, images, localcluster, mesh_rollout, tools
from plmkit.commands import up
from plmkit.console import KitError
from plmkit.doctor import Finding
from plmkit.images import Image
from plmkit.stack import Workspace, making, pulumi, remains, vacancy
from support.kit_process import Kit
from support.programs import put

BUILT = {"services": Image("services", "k1", "sha256:01", 7.0)}
LOCAL = {"services": "plm.local/services@sha256:01"}
REMOTE = {"services": "registry.example/plm/services@sha256:01"}


class Steps:
    """Stands in for all that works, and writes down the order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.exit_code_of_pulumi = 0
        self.held = False
        self.references: Mapping[str, str] = {}
        self.arguments: list[str] = []
        self.configured = {"registry": "registry.example/plm", "apiUrl": "https://192.0.2.7:30443"}

    def note(self, text: str, answer: Any = None) -> Callable[..., Any]:
        def take(*_arguments: Any, **_named: Any) -> Any:
            self.done.append(text)
            return answer

        return take

    def set_images(self, _workspace: Workspace, references: Mapping[str, str]) -> None:
        self.done.append("set images")
        self.references = references

    def deploy(self, _workspace: Workspace, arguments: list[str]) -> int:
        self.done.append(f"pulumi {arguments[0]}")
        self.arguments = arguments
        return self.exit_code_of_pulumi

    def push(self, _places: Any, registry: str, _images: Any) -> Mapping[str, str]:
        self.done.append(f"push to {registry}")
        return REMOTE

    def local_cluster(self, *_arguments: Any) -> "Steps":
        return self

    def refuse_another(self) -> None:
        if self.held:
            raise KitError("this machine already runs another", "plm down")

    def start(self, *, take_over: bool, progress: Any) -> None:
        self.done.append("take over" if take_over else "start")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps()
    monkeypatch.setattr(doctor, "examine", made.note("doctor", [Finding("go", "Go 1.26")]))
    monkeypatch.setattr(tools, "ensure", made.note("tools"))
    monkeypatch.setattr(images, "ensure", made.note("images", BUILT))
    monkeypatch.setattr(images, "load", made.note("import", []))
    monkeypatch.setattr(images, "push", made.push)
    monkeypatch.setattr(localcluster, "LocalCluster", made.local_cluster)
    monkeypatch.setattr(vacancy, "check", made.note("look at the cluster"))
    monkeypatch.setattr(making, "init", made.note("stack"))
    monkeypatch.setattr(making, "set_images", made.set_images)
    monkeypatch.setattr(making, "configured", lambda _workspace, name: made.configured[name])
    monkeypatch.setattr(pulumi, "run_quietly", made.deploy)
    monkeypatch.setattr(mesh_rollout, "wait", made.note("nodes", ["b", "x"]))
    monkeypatch.setattr(pulumi, "show", made.note("pulumi's own display", 0))
    return made


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """With the credentials that making the stack would leave."""
    made = Kit(tmp_path)
    made.state.mkdir()
    put(made.programs, "kubectl", "")
    (made.state / "kubeconfig").touch()  # as the cluster leaves it
    credentials = {"apiUrl": "https://edge", "apiKey": "secret", "caFile": "/state/ca.crt"}
    for name in ("credentials.json", "credentials.tiny-prod.json"):
        (made.state / name).write_text(json.dumps(credentials))
    return made


def test_each_step_comes_before_what_needs_it(steps: Steps, kit: Kit) -> None:
    done = kit.call("up")
    assert done.returncode == 0, done.stderr
    assert steps.done == [
        "doctor",
        "tools",
        "images",
        "start",
        "import",
        "stack",
        "set images",
        "pulumi up",
        "nodes",
    ]
    assert "not yet run what they should: b, x; plm status says why" in done.stderr
    assert steps.references == LOCAL
    assert {"--yes", "--skip-preview", "--non-interactive"} <= set(steps.arguments)


def test_it_ends_with_where_to_go_and_never_with_a_secret(steps: Steps, kit: Kit) -> None:
    done = kit.call("up")
    assert "API      https://edge\nCA       /state/ca.crt\n" in done.stdout
    assert "secret" not in done.stdout + done.stderr
    found = kit.json("up")
    assert found["apiUrl"] == "https://edge"
    names = "doctor, tools, images, cluster, import, stack, pulumi up, nodes"
    assert ", ".join(found["seconds"]) == names


def test_only_a_terminal_gets_pulumi_s_own_display(
    steps: Steps, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "is_interactive", lambda: True)
    kit.call("up")
    assert steps.done[-2:] == ["pulumi's own display", "nodes"]


def test_pulumi_looks_for_itself_once_after_plm_dev(steps: Steps, kit: Kit) -> None:
    """What it remembers of the pods is not what runs in them."""
    kit.call("up")
    assert "--refresh" not in steps.arguments
    (kit.state / "Pulumi.tiny.rolled").touch()
    steps.exit_code_of_pulumi = 255
    kit.call("up")
    steps.exit_code_of_pulumi = 0
    kit.call("up")
    assert "--refresh" in steps.arguments
    kit.call("up")
    assert "--refresh" not in steps.arguments


@pytest.mark.parametrize("draws", [True, False])
def test_after_a_pulumi_that_was_killed_at_its_work_it_looks_at_what_is_there_first(
    steps: Steps, kit: Kit, monkeypatch: pytest.MonkeyPatch, draws: bool
) -> None:
    """Never on a terminal of its own: there it would ask."""
    monkeypatch.setattr(up, "is_interactive", lambda: draws)
    monkeypatch.setattr(remains, "free_stack", steps.note("free the stack"))
    monkeypatch.setattr(remains, "has_unfinished_work", lambda _workspace: True)
    kit.call("up")
    last = "pulumi's own display" if draws else "pulumi up"
    assert steps.done[-4:] == ["free the stack", "pulumi refresh", last, "nodes"]
    if draws:
        assert {"--clear-pending-creates", "--non-interactive"} <= set(steps.arguments)


def test_a_look_at_what_is_there_that_failed_ends_it_there(
    steps: Steps, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "has_unfinished_work", lambda _workspace: True)
    steps.exit_code_of_pulumi = 255
    done = kit.call("up")
    assert done.stderr.endswith(
        "plm: pulumi refresh failed\n  try: plm status; then plm up again\n"
    )
    assert steps.done[-1] == "pulumi refresh"


def test_a_foreign_cluster_gets_its_images_by_its_registry_and_ours_is_not_started(
    steps: Steps, kit: Kit
) -> None:
    (kit.state / "Pulumi.tiny-prod.yaml").write_text("config: {kubernetes:context: prod}\n")
    done = kit.call("up", "--context", "prod")
    assert done.returncode == 0, done.stderr
    before, after = (
        "doctor, look at the cluster, tools, images",
        "stack, set images, pulumi up, nodes",
    )
    assert ", ".join(steps.done) == f"{before}, push to registry.example/plm, {after}"
    assert steps.references == REMOTE
    assert 'kubectl  eval "$(plm stack env --context prod)"; ' in done.stdout
    assert "kubectl -n plm get plm --context prod\n" in done.stdout


def test_a_foreign_cluster_is_looked_at_later_where_kubectl_must_be_built_first(
    steps: Steps, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_arguments: Any, **_named: Any) -> None:
        steps.done.append("tools")
        put(kit.cache / "tools" / "bin", "kubectl", "")

    monkeypatch.setattr(tools, "ensure", build)
    (kit.state / "Pulumi.tiny-prod.yaml").write_text("config: {kubernetes:context: prod}\n")
    (kit.programs / "kubectl").unlink()
    bare = replace(kit, system_programs=False)
    done = bare.call("up", "--context", "prod")
    assert done.returncode == 0, done.stderr
    assert steps.done[:4] == ["doctor", "tools", "look at the cluster", "images"]


@pytest.mark.parametrize("kind", ["registry", "cluster"])
def test_what_is_wrong_with_a_foreign_cluster_is_told_before_anything_is_built(
    steps: Steps, kit: Kit, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise KitError("its namespace is somebody else's", "take another")

    if kind == "cluster":
        monkeypatch.setattr(vacancy, "check", refuse)
    else:
        steps.configured["registry"] = "https://registry.example/plm"
    (kit.state / "Pulumi.tiny-prod.yaml").write_text("config: {kubernetes:context: prod}\n")
    assert kit.call("up", "--context", "prod").returncode > 0
    assert steps.done == ["doctor"]


def test_a_foreign_stack_that_points_at_the_embedded_edge_is_asked_where_its_own_is(
    steps: Steps, kit: Kit
) -> None:
    """As one that an earlier version made."""
    (kit.state / "Pulumi.tiny-prod.yaml").write_text("config: {kubernetes:context: prod}\n")
    steps.configured["apiUrl"] = ""
    done = kit.call("up", "--context", "prod")
    assert done.returncode == 2
    assert steps.done == ["doctor"]
    assert "the stack of prod does not say where people reach its edge" in done.stderr


def test_another_installation_s_cluster_is_taken_over_only_when_asked(
    steps: Steps, kit: Kit
) -> None:
    steps.held = True
    done = kit.call("up")
    assert "this machine already runs another" in done.stderr
    assert steps.done == ["doctor"], "before half an hour of building"
    kit.call("up", "--take-over")
    assert "take over" in steps.done


def test_a_deployment_that_failed_ends_with_one_and_says_how_to_go_on(
    steps: Steps, kit: Kit
) -> None:
    steps.exit_code_of_pulumi = 255
    done = kit.call("up")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.endswith("plm: pulumi up failed\n  try: plm status; then plm up again\n")


def test_a_deployment_elsewhere_that_failed_does_not_send_one_to_the_embedded_cluster(
    steps: Steps, kit: Kit
) -> None:
    """Where a plain `plm up` would start one."""
    (kit.state / "Pulumi.tiny-prod.yaml").write_text("config: {kubernetes:context: prod}\n")
    steps.exit_code_of_pulumi = 255
    done = kit.call("up", "--context", "prod")
    cure = "plm status --context prod; then plm up --context prod again"
    assert done.stderr.endswith(f"plm: pulumi up failed\n  try: {cure}\n")


def test_a_stack_of_another_cluster_of_nearly_that_name_is_not_updated(
    steps: Steps, kit: Kit
) -> None:
    (kit.state / "Pulumi.tiny-team-x.yaml").write_text("config: {kubernetes:context: team-x}\n")
    done = kit.call("up", "--context", "team/x")
    assert done.returncode == 2
    assert "the stack tiny-team-x deploys to team-x, not to team/x" in done.stderr
    assert steps.done == []


def test_what_a_step_refuses_ends_it_there(
    steps: Steps, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise KitError("buildah bud failed:\nno space left", "plm images")

    monkeypatch.setattr(images, "ensure", refuse)
    done = kit.call("up")
    assert done.returncode == 1
    assert steps.done == ["doctor", "tools"]
    assert "plm: buildah bud failed:\nno space left\n  try: plm images\n" in done.stderr


def test_images_tells_references_here_and_those_in_a_registry(steps: Steps, kit: Kit) -> None:
    assert kit.json("images") == {"services": {"reference": LOCAL["services"], "buildSeconds": 7.0}}
    assert steps.done == ["tools", "images"]
    pushed = kit.json("images", "--push", "registry.example/plm")
    assert pushed["services"]["reference"] == REMOTE["services"]
    table = kit.call("images").stdout
    assert f"services  {LOCAL['services']}  7\n" in table
