"""A stack's files and the environment in which plain pulumi works on it, the same for a shell and for a child."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.stack import Workspace, pulumi
from plmkit.state import Places
from support.paper_pulumi import put_pulumi

PLACES = Places(Path("/checkout"), Path("/a cache"), Path("/state of $mine"))


def test_each_foreign_cluster_has_a_stack_of_its_own() -> None:
    assert Workspace(PLACES).stack == "tiny"
    foreign = Workspace(PLACES, "admin@prod/eu west")
    assert foreign.stack == "tiny-admin-prod-eu-west"
    assert foreign.configuration == PLACES.state / "Pulumi.tiny-admin-prod-eu-west.yaml"
    assert foreign.backend == Workspace(PLACES).backend


def test_everything_is_kept_under_state_and_cache() -> None:
    found = Workspace(PLACES).variables()
    assert found["PULUMI_BACKEND_URL"] == f"file://{PLACES.state}/pulumi"
    assert found["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{PLACES.state}/passphrase"
    assert found["PULUMI_OPTION_CONFIG_FILE"] == f"{PLACES.state}/Pulumi.tiny.yaml"
    assert found["PULUMI_HOME"] == f"{PLACES.cache}/pulumi-home"
    assert "PULUMI_CONFIG_PASSPHRASE" not in found, (
        "every user sees the environment's owner's secrets"
    )


def test_nothing_is_fetched_behind_one_s_back() -> None:
    found = Workspace(PLACES).variables()
    assert found["PULUMI_SKIP_UPDATE_CHECK"] == "true"
    assert found["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_a_foreign_cluster_keeps_the_person_s_kubeconfig() -> None:
    assert Workspace(PLACES).variables()["KUBECONFIG"] == str(PLACES.kubeconfig)
    assert "KUBECONFIG" not in Workspace(PLACES, "prod").variables()


def test_a_child_gets_what_the_shell_has_and_ours_first() -> None:
    inherited = {"PATH": "/usr/bin", "LANG": "C", "PULUMI_STACK": "theirs"}
    found = Workspace(PLACES).environment(inherited)
    assert found["LANG"] == "C"
    assert found["PULUMI_STACK"] == "tiny"
    first, second, rest = found["PATH"].split(os.pathsep)
    assert (first, rest) == (str(Path(sys.executable).parent), "/usr/bin")
    assert second == f"{PLACES.cache}/tools/bin"
    assert inherited["PULUMI_STACK"] == "theirs"


def test_the_shell_s_lines_mean_what_a_child_gets() -> None:
    """Whatever characters the paths hold."""
    workspace = Workspace(PLACES)
    script = "\n".join([*workspace.shell_lines(), "env -0"])
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    expected = workspace.environment({"PATH": "/usr/bin:/bin"})
    assert {name: found[name] for name in expected} == expected


@contextmanager
def standing_at_the_keyboard(typed: bytes) -> Iterator[None]:
    """With this on our standard input."""
    kept = os.dup(0)
    reading, writing = os.pipe()
    os.write(writing, typed)
    os.close(writing)
    os.dup2(reading, 0)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    state = tmp_path / "state"
    (state / "pulumi").mkdir(parents=True)
    (state / "passphrase").write_text("secret")
    return Workspace(Places(tmp_path, tmp_path / "cache", state))


def test_without_pulumi_one_is_told_what_brings_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KitError, match="pulumi is missing") as refused:
        pulumi.run(workspace, "stack", "ls")
    assert (refused.value.cure, refused.value.exit_code) == (
        "plm tools",
        ExitCode.UNFIT_ENVIRONMENT,
    )


def test_pulumi_never_waits_for_an_answer_and_its_last_words_are_passed_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = put_pulumi(tmp_path / "pulumi")
    for name, value in paper.variables.items():
        monkeypatch.setenv(name, value)
    with standing_at_the_keyboard(b"y\n"):
        assert pulumi.outputs(workspace) == {"apiUrl": "https://edge"}
    [call] = paper.calls
    assert call.cwd == str(workspace.places.checkout)
    assert call.stdin == ""
    assert call.environment["PULUMI_STACK"] == "tiny"
    paper.refuse("stack output")
    with pytest.raises(KitError, match="pulumi stack failed:\nerror: could not do it"):
        pulumi.outputs(workspace)


def test_a_display_s_exit_code_is_pulumi_s(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = put_pulumi(tmp_path / "pulumi")
    for name, value in paper.variables.items():
        monkeypatch.setenv(name, value)
    assert pulumi.show(workspace, ["up", "--yes"]) == 0
    paper.refuse("up --yes")
    assert pulumi.show(workspace, ["up", "--yes"]) == 1
