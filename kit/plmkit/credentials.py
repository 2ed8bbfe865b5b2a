"""Who `plm` is towards the gateway: address, key and CA, written into the state folder when the stack is made."""

import json
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import ExitCode, KitError
from plmkit.kubectl import chosen_context, with_context
from plmkit.stack import Workspace
from plmkit.stack.target import check_target
from plmkit.state import find_places


@dataclass(frozen=True)
class Credentials:
    """Address, key and CA of the running platform. The key stays out of `repr`, so it cannot reach a log."""

    api_url: str
    api_key: str
    ca_file: Path

    def __repr__(self) -> str:
        return f"Credentials(api_url={self.api_url!r}, ca_file={str(self.ca_file)!r})"


def chosen_credentials(context: str | None) -> Credentials:
    """Those of the cluster that `--context` or PLM_CONTEXT names, else of the embedded one. Raises KitError."""
    workspace = Workspace(find_places(), chosen_context(context))
    check_target(workspace)
    return load_credentials(workspace.credentials, with_context("plm up", workspace.context))


def load_credentials(path: Path, up: str = "plm up") -> Credentials:
    """What `plm stack init` wrote. Raises KitError when it is not there or cannot be read; `up` is the cure."""
    try:
        found = json.loads(path.read_text())
        return Credentials(found["apiUrl"], found["apiKey"], Path(found["caFile"]))
    except FileNotFoundError:
        raise KitError(
            f"there is no running platform: {path} is missing",
            up,
            ExitCode.UNFIT_ENVIRONMENT,
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"{path} cannot be read: {error}",
            f"{up} (it makes a new key)",
            ExitCode.UNFIT_ENVIRONMENT,
        ) from None
