"""`plm down`: what it says, what it refuses to remove, and that it asks. The cluster is on paper."""

import json
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from plmkit import commands, localcluster
from plmkit.commands import down
from plmkit.console import ExitCode, KitError
from plmkit.localcluster import Status
from plmkit.localcluster.layout import Layout
from plmkit.state import Places
from support.kit_process import PLM, Kit
from support.terminals import read_until
from support.waiting import wait_until
from typer.testing import CliRunner, Result


class PaperCluster:
    """Knows whether it runs, and writes down what is done to it."""

    done: list[str]
    runs: bool
    other: str | None

    def __init__(self, places: Places, tools: Path) -> None:
        self.places = places

    def stop(self) -> bool:
        self.done.append("stop")
        return self.runs

    def purge(self, and_also: Callable[[], None]) -> bool:
        self.done.append("purge")
        and_also()
        self.when_let_go()
        return self.runs

    def when_let_go(self) -> None:
        """What somebody does who has waited for it."""

    def status(self) -> Status:
        return Status({"etcd": False}, node_is_ready=False, owner=self.other)


Down = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder as an installation leaves it."""
    folder = tmp_path / "state"
    for name in ("cluster/etcd/data", "kubeconfig", "credentials.json", "Pulumi.tiny.yaml"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.fixture
def plm_down(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Down:
    monkeypatch.setattr(localcluster, "LocalCluster", PaperCluster)
    PaperCluster.done, PaperCluster.runs, PaperCluster.other = [], True, None
    monkeypatch.setenv("PLM_STATE_DIR", str(state))
    monkeypatch.setenv("PLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    app = typer.Typer()
    commands.register_all(app)

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(app, ["down", *arguments], input=typed)

    return run


def test_data_stays_and_it_says_where(plm_down: Down, state: Path) -> None:
    done = plm_down()
    assert done.exit_code == 0
    assert done.stdout.startswith("Stopped in ")
    assert f"The data stays in {state}; plm up goes on with it." in done.stdout
    assert PaperCluster.done == ["stop"]
    assert (state / "cluster" / "etcd" / "data").exists()


def test_json_tells_the_same(plm_down: Down) -> None:
    found = json.loads(plm_down("-o", "json").stdout)
    assert (found["stopped"], found["purged"]) == (True, False)


def test_where_nothing_runs_it_says_so_and_whose_cluster_does(plm_down: Down) -> None:
    PaperCluster.runs, PaperCluster.other = False, "/state/theirs"
    done = plm_down()
    assert done.exit_code == 0
    assert done.stdout == "Nothing of this installation runs.\n"
    assert "PLM_STATE_DIR=/state/theirs plm down" in done.stderr


def test_a_purge_leaves_nothing(plm_down: Down, state: Path) -> None:
    done = plm_down("--purge", "--yes")
    assert done.exit_code == 0, done.exception
    assert PaperCluster.done == ["purge"]
    assert not state.exists()
    again = plm_down("--purge")
    assert again.exit_code == 0, "nothing to ask about"


def test_a_purge_leaves_alone_what_a_waiting_plm_up_then_starts(
    plm_down: Down, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would run on a folder that is being removed under it."""
    data = state / "cluster" / "etcd" / "another"

    def start(_cluster: PaperCluster) -> None:
        assert not state.exists()
        data.mkdir(parents=True)

    monkeypatch.setattr(PaperCluster, "when_let_go", start)
    assert plm_down("--purge", "--yes").exit_code == 0
    assert data.is_dir()


def test_a_purge_asks_a_person_and_a_no_changes_nothing(
    plm_down: Down, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(down, "is_interactive", lambda: True)
    refused = plm_down("--purge", typed="n\n")
    assert refused.exit_code == 0
    # Its first line is the runner's: it shows what is typed, as a terminal does.
    assert refused.stdout.partition("\n")[2] == "Nothing was stopped or removed.\n"
    assert f"This removes the ledger, the stack and all keys in {state}." in refused.stderr
    assert PaperCluster.done == []
    told = plm_down("--purge", "-o", "json", typed="n\n").stdout.partition("\n")[2]
    assert json.loads(told) == {"stopped": False, "purged": False, "seconds": 0.0}
    assert plm_down("--purge", typed="\n").exit_code == 0, "no is the default"
    assert PaperCluster.done == []
    assert plm_down("--purge", typed="y\n").exit_code == 0
    assert not state.exists()


def waits(process: subprocess.Popen[bytes]) -> bool:
    """Whether it sleeps: a signal that comes before it reads would be noticed only with the next key."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_an_interruption_at_the_question_is_one(tmp_path: Path) -> None:
    """As a process, on a terminal: it ends before it touches anything."""
    kit = Kit(tmp_path)
    (kit.state / "cluster").mkdir(parents=True)
    ours, its = pty.openpty()
    command = [*PLM, "down", "--purge"]
    with subprocess.Popen(command, env=kit.environment, stdin=its, stderr=its) as process:
        try:
            read_until(ours, b"Remove them?")
            wait_until(lambda: waits(process), 30, "it reads")
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        finally:
            process.kill()
    read_until(ours, b"plm: interrupted")
    os.close(ours)
    os.close(its)
    assert (kit.state / "cluster").exists()


def test_with_another_cluster_chosen_the_embedded_one_is_not_ended(
    plm_down: Down, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLM_CONTEXT", "prod")
    refused = plm_down("--purge", "--yes").exception
    assert isinstance(refused, KitError)
    assert refused.exit_code is ExitCode.WRONG_USAGE
    assert refused.cure == "env -u PLM_CONTEXT plm down"
    assert PaperCluster.done == []


def test_where_nobody_can_be_asked_a_purge_wants_a_yes(tmp_path: Path) -> None:
    """As a process: it ends before it touches anything."""
    kit = Kit(tmp_path)
    (kit.state / "cluster").mkdir(parents=True)
    done = kit.run("down", "--purge")
    assert done.returncode == 2
    assert "try: plm down --purge --yes" in done.stderr
    assert (kit.state / "cluster").exists()


def refusal(places: Places) -> KitError:
    with pytest.raises(KitError) as refused:
        down.refuse_to_remove_more_than_state(places)
    assert refused.value.exit_code is ExitCode.WRONG_USAGE
    assert "PLM_STATE_DIR" in refused.value.cure
    return refused.value


@pytest.mark.parametrize("kept", ["home", "checkout", "cache"])
def test_a_state_folder_around_something_else_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    folders: dict[str, Path] = dict.fromkeys(("home", "checkout", "cache"), tmp_path / "elsewhere")
    folders[kept] = tmp_path / "state" / "inside"
    monkeypatch.setenv("HOME", str(folders["home"]))
    places = Places(folders["checkout"], folders["cache"], tmp_path / "state")
    assert str(folders[kept]) in refusal(places).what


def test_a_state_folder_with_other_people_s_files_is_not_removed(
    tmp_path: Path, state: Path
) -> None:
    """PLM_STATE_DIR=/etc would be a bad day."""
    layout = Layout(state)
    assert down._is_ours(layout.cluster.name)
    assert down._is_ours(layout.admin_kubeconfig.name)
    places = Places(tmp_path / "checkout", tmp_path / "cache", state)
    down.refuse_to_remove_more_than_state(places)
    (state / "passwd").touch()
    (state / "hosts").touch()
    assert "also holds hosts, passwd" in refusal(places).what


def test_the_stacks_of_other_clusters_are_not_removed_along(plm_down: Down, state: Path) -> None:
    """The passphrase that opens them, and what Pulumi remembers of them, lie in the same folder."""
    for name, context in (("team-x", "team/x"), ("prod", "prod")):
        file = state / f"Pulumi.tiny-{name}.yaml"
        file.write_text(f"config:\n  kubernetes:context: {context}\n")
    refused = plm_down("--purge", "--yes").exception
    assert isinstance(refused, KitError)
    assert refused.exit_code is ExitCode.WRONG_USAGE
    assert "the stack of prod, team/x: --purge would remove" in refused.what
    assert 'eval "$(plm stack env --context prod)"; pulumi destroy;' in refused.cure
    assert f"rm {state / 'Pulumi.tiny-prod.yaml'}" in refused.cure
    assert PaperCluster.done == []
    assert (state / "credentials.json").exists()
    assert plm_down().exit_code == 0, "stopping forgets nothing"
    for file in state.glob("Pulumi.tiny-*.yaml"):
        file.unlink()
    assert plm_down("--purge", "--yes").exit_code == 0


def test_a_stack_s_file_that_cannot_be_read_is_kept_too(plm_down: Down, state: Path) -> None:
    for text in ("a: [", "- 1\n", "\0"):
        (state / "Pulumi.tiny-prod.yaml").write_text(text)
        refused = plm_down("--purge", "--yes").exception
        assert isinstance(refused, KitError)
        assert "Pulumi.tiny-prod.yaml is no stack's file" in refused.what
    assert PaperCluster.done == []


def test_a_state_folder_that_is_reached_by_a_link_is_looked_at_all_the_same(
    tmp_path: Path, state: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(state)
    checkout = state / "cluster" / "checkout"
    places = Places(checkout, tmp_path / "cache", link)
    assert f"holds {checkout}" in refusal(places).what


def test_what_cannot_be_removed_is_named(
    plm_down: Down, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(path: Path, **_options: Any) -> None:
        """As if something were mounted there."""

    monkeypatch.setattr(shutil, "rmtree", busy)
    done = plm_down("--purge", "--yes")
    assert isinstance(done.exception, KitError)
    assert "cannot be removed" in done.exception.what
    assert done.exception.cure.startswith("fuser -vm ")
