"""What others have in a cluster stays theirs: a stack takes its names there only where it has made what bears them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.kubectl import ClusterUnreachable
from plmkit.stack import Workspace, vacancy
from plmkit.state import Places

NAMESPACE = "kubernetes:core/v1:Namespace"
KIND = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"


@dataclass
class PaperObjects:
    """A cluster by the names of what it has, as `kubectl get KIND --field-selector=metadata.name=NAME` tells."""

    held: set[tuple[str, str]] = field(default_factory=set)
    trouble: KitError | None = None

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        if self.trouble:
            raise self.trouble
        kind, selector = arguments
        name = selector.removeprefix("--field-selector=metadata.name=")
        return [{"metadata": {"name": name}}] if (kind, name) in self.held else []


THEIRS = {("namespace", "plm"), ("customresourcedefinition", "meshnodes.plm.dev")}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Places(tmp_path, tmp_path / "cache", tmp_path / "state"), "prod")


def remember(workspace: Workspace, latest: Mapping[str, Any] | None) -> None:
    folder = workspace.backend / ".pulumi" / "stacks" / "plm"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"version": 3, "checkpoint": {"latest": latest}}
    (folder / f"{workspace.stack}.json").write_text(json.dumps(content))


@pytest.mark.parametrize("latest", [None, {}, {"resources": [{"type": "pulumi:pulumi:Stack"}]}])
def test_an_empty_cluster_is_free(workspace: Workspace, latest: Mapping[str, Any] | None) -> None:
    vacancy.check(workspace, PaperObjects())
    remember(workspace, latest)
    vacancy.check(workspace, PaperObjects())


@pytest.mark.parametrize(("kind", "name"), sorted(THEIRS))
@pytest.mark.parametrize("latest", [None, {}, {"resources": [{"type": "pulumi:pulumi:Stack"}]}])
def test_what_somebody_else_has_made_is_left_alone(
    workspace: Workspace, kind: str, name: str, latest: Mapping[str, Any] | None
) -> None:
    remember(workspace, latest)
    with pytest.raises(KitError, match=f"a {kind} {name} that this stack did not make") as refused:
        vacancy.check(workspace, PaperObjects({(kind, name)}))
    assert refused.value.exit_code == ExitCode.UNFIT_ENVIRONMENT
    assert refused.value.cure.endswith(f"kubectl delete {kind} {name} --context prod")


def test_a_stack_of_another_context_s_vouches_for_nothing(workspace: Workspace) -> None:
    other = Workspace(workspace.places, "stage")
    remember(other, {"resources": [{"type": NAMESPACE}, {"type": KIND}]})
    vacancy.check(other, PaperObjects(set(THEIRS)))
    with pytest.raises(KitError, match="did not make"):
        vacancy.check(workspace, PaperObjects(set(THEIRS)))


def test_what_this_stack_has_made_is_its_own(workspace: Workspace) -> None:
    """Also what it was at when it was killed: it may be there by now."""
    unfinished = [{"resource": {"type": KIND}, "type": "creating"}]
    remember(workspace, {"resources": [{"type": NAMESPACE}], "pending_operations": unfinished})
    vacancy.check(workspace, PaperObjects(set(THEIRS)))


def test_a_cluster_that_does_not_answer_is_noticed_also_where_all_is_ours(
    workspace: Workspace,
) -> None:
    remember(workspace, {"resources": [{"type": NAMESPACE}, {"type": KIND}]})
    silent = ClusterUnreachable("no answer", "kubectl cluster-info", ExitCode.UNFIT_ENVIRONMENT)
    with pytest.raises(ClusterUnreachable):
        vacancy.check(workspace, PaperObjects(trouble=silent))
