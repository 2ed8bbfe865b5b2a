"""Which cluster a stack's file deploys to: of several in one state folder each has its own."""

from pathlib import Path
from typing import Any

import yaml

from plmkit.console import KitError
from plmkit.stack.workspace import EMBEDDED
from plmkit.state import Places

_CONTEXT = "kubernetes:context"


def context_in(configuration: Path) -> str:
    """The kubeconfig context that a stack's file names; empty for the embedded cluster's."""
    try:
        found: Any = yaml.safe_load(configuration.read_text())
        return str((found.get("config") or {}).get(_CONTEXT) or "")
    except (yaml.YAMLError, ValueError, AttributeError) as error:
        raise KitError(
            f"{configuration} is no stack's file: {error}", f"mend {configuration}"
        ) from error


def stacks_of_other_clusters(places: Places) -> list[Path]:
    """The files of stacks in this state folder that do not deploy to the embedded cluster."""
    return sorted(places.state.glob(f"Pulumi.{EMBEDDED}-*.yaml"))
