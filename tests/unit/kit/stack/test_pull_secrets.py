"""What a stack says that pods pull with is asked for in time, and told with the command that makes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from plmkit.console import ExitCode, KitError
from plmkit.stack import Workspace, pull_secrets
from plmkit.state import Places

COMMAND = (
    "kubectl create secret docker-registry {} -n plm --docker-server=registry.example:5000"
    " --docker-username=USER --docker-password=PASSWORD --context prod"
)


class PaperCluster:
    """Has or has not the namespace, and Secrets in it; counts what it is asked."""

    def __init__(self, *secrets: str, has_namespace: bool = True) -> None:
        self.held = {("secrets", name) for name in secrets}
        if has_namespace:
            self.held.add(("namespace", "plm"))
        self.asked = 0

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        self.asked += 1
        kind, selector = arguments
        name = selector.removeprefix("--field-selector=metadata.name=")
        return [{"metadata": {"name": name}}] if (kind, name) in self.held else []


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(Places(tmp_path, tmp_path / "cache", tmp_path), "prod")
    configure(made, ["one", "two"])
    return made


def configure(workspace: Workspace, names: Any) -> None:
    config = {"plm:registry": "registry.example:5000/plm", "plm:imagePullSecrets": names}
    workspace.configuration.write_text(yaml.safe_dump({"config": config}))


def test_a_secret_that_could_be_there_and_is_not_is_asked_for(workspace: Workspace) -> None:
    with pytest.raises(KitError, match=r"namespace plm lacks what .* names: two$") as raised:
        pull_secrets.check(workspace, PaperCluster("one"))
    assert raised.value.cure == COMMAND.format("two")
    assert raised.value.exit_code == ExitCode.UNFIT_ENVIRONMENT
    with pytest.raises(KitError, match="one, two") as raised:
        pull_secrets.check(workspace, PaperCluster())
    assert raised.value.cure == f"{COMMAND.format('one')}; {COMMAND.format('two')}"


def test_before_there_is_a_namespace_one_is_told_to_make_it_while_pods_wait(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can make it now, and a namespace that was made for it by hand is refused."""
    cluster = PaperCluster(has_namespace=False)
    pull_secrets.check(workspace, cluster)
    assert capsys.readouterr().err == ""
    pull_secrets.tell(workspace, cluster)
    said = capsys.readouterr().err
    assert said.startswith("pods will wait for Secret one, two: once pulumi has made namespace plm")
    assert said.endswith(f"{COMMAND.format('one')}; {COMMAND.format('two')}\n")


def test_nothing_is_said_of_secrets_that_are_there(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = PaperCluster("one", "two", "three")
    pull_secrets.check(workspace, cluster)
    pull_secrets.tell(workspace, cluster)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("names", [None, [], "no list: pulumi says so"])
def test_a_stack_that_names_none_asks_for_none(workspace: Workspace, names: Any) -> None:
    configure(workspace, names)
    cluster = PaperCluster()
    pull_secrets.check(workspace, cluster)
    pull_secrets.tell(workspace, cluster)
    assert cluster.asked == 0
