"""Which cluster a stack's file deploys to: of several in one state folder each has its own."""

import shlex
from pathlib import Path
from typing import Any

import yaml

from plmkit.console import ExitCode, KitError
from plmkit.stack.workspace import EMBEDDED, Workspace
from plmkit.state import Places

_CONTEXT = "kubernetes:context"


def content_of(configuration: Path) -> dict[str, Any]:
    """What a stack's file holds, `config` among it. Raises KitError for what is no such file."""
    try:
        found: Any = yaml.safe_load(configuration.read_text())
    except (yaml.YAMLError, ValueError) as error:
        raise _no_stack_file(configuration, str(error)) from error
    if not isinstance(found, dict):
        raise _no_stack_file(configuration, "it holds no names with values")
    config = {} if found.get("config") is None else found["config"]
    if not isinstance(config, dict):
        raise _no_stack_file(configuration, "config in it holds no names with values")
    return {**found, "config": config}


def _no_stack_file(configuration: Path, why: str) -> KitError:
    return KitError(
        f"{configuration} is no stack's file: {why}",
        f"mend {configuration}",
        ExitCode.UNFIT_ENVIRONMENT,
    )


def context_in(configuration: Path) -> str:
    """The kubeconfig context that a stack's file names; empty for the embedded cluster's."""
    return str(content_of(configuration)["config"].get(_CONTEXT) or "")


def stacks_of_other_clusters(places: Places) -> list[Path]:
    """The files of stacks in this state folder that do not deploy to the embedded cluster."""
    return sorted(places.state.glob(f"Pulumi.{EMBEDDED}-*.yaml"))


def check_target(workspace: Workspace) -> None:
    """Raise KitError where this stack's file deploys to another cluster than is meant.

    `team/x` and `team-x` are different contexts, and one stack by their names.
    """
    context, file = workspace.context, workspace.configuration
    if context is None or not file.exists():
        return
    found = context_in(file)
    if not found:
        raise KitError(
            f"{file} does not say which cluster it deploys to",
            f"write {_CONTEXT}: {context} under config in that file",
            ExitCode.WRONG_USAGE,
        )
    if found != context:
        raise KitError(
            f"the stack {workspace.stack} deploys to {found}, not to {context}: of such names one can have it",
            f"kubectl config rename-context {shlex.quote(context)} ANOTHER-NAME",
            ExitCode.WRONG_USAGE,
        )
