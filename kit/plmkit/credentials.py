"""Who `plm` is towards the gateway: address, key and CA, written into the state folder when the stack is made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

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
        return _credentials(json.loads(path.read_text()))
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


def _credentials(found: Mapping[str, str]) -> Credentials:
    """Raises ValueError, KeyError or TypeError for what no request could be made with."""
    api_url, api_key, ca_file = (str.strip(found[name]) for name in ("apiUrl", "apiKey", "caFile"))
    parts = urlsplit(api_url)
    # Over http the key would be read by whoever listens. A port that is none raises, when it is asked for.
    if parts.scheme != "https" or not parts.hostname or parts.port == 0:
        raise ValueError(f"apiUrl {api_url!r} is no https address")
    if not (api_key.isascii() and api_key.isprintable() and api_key):
        raise ValueError("apiKey is not printable ASCII")
    if "\0" in ca_file:
        raise ValueError("caFile is no path")
    return Credentials(api_url, api_key, Path(ca_file))
