"""Makes a stack once: plain values, CA, passwords, key. Killed anywhere and run again, it ends the same."""

import contextlib
import datetime as dt
import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from plmkit.console import ExitCode, KitError
from plmkit.stack import pulumi
from plmkit.stack import secrets as stack_secrets
from plmkit.stack.workspace import EMBEDDED, Workspace

_PASSPHRASE_BYTES = 32


def init(workspace: Workspace, *, registry: str = "") -> bool:
    """Make the stack where it is missing; whether it was."""
    if workspace.is_made:
        return False
    state = workspace.places.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    workspace.backend.mkdir(mode=0o700, exist_ok=True)
    if not workspace.passphrase.exists():
        write_private(workspace.passphrase, secrets.token_urlsafe(_PASSPHRASE_BYTES))
    made = stack_secrets.make(dt.datetime.now(dt.UTC))
    plain = plain_values(workspace.places.checkout, registry, workspace.context)
    # Pulumi writes into a scratch folder, so that the stack's file appears whole or not at all.
    with tempfile.TemporaryDirectory(prefix="plm-stack-", dir=state) as scratch:
        folder = Path(scratch)
        shutil.copy(workspace.places.checkout / "Pulumi.yaml", folder)
        draft = folder / workspace.configuration.name
        _create(workspace, folder)
        values = yaml.safe_load(draft.read_text()) or {}
        draft.write_text(yaml.safe_dump({**values, "config": plain}))
        pulumi.run(
            workspace,
            "config", "set", "plm:secrets", "--secret", "--config-file", str(draft),
            folder=folder, stdin=json.dumps(made.values),
        )  # fmt: skip
        draft.chmod(0o600)
        draft.rename(workspace.configuration)
    workspace.authority.write_text(made.authority_certificate)
    api_url = plain.get("plm:apiUrl") or default_api_url(workspace.places.checkout)
    credentials = {
        "apiUrl": api_url,
        "apiKey": made.api_key,
        "caFile": str(workspace.authority),
    }
    write_private(workspace.places.credentials, json.dumps(credentials, indent=2))
    return True


def _create(workspace: Workspace, folder: Path) -> None:
    listed = json.loads(pulumi.run(workspace, "stack", "ls", "--json", folder=folder))
    if any(each["name"] == workspace.stack for each in listed):
        # From a run that was killed: nothing was deployed with it, since its configuration never appeared.
        with contextlib.suppress(KitError):
            pulumi.run(
                workspace,
                "stack",
                "rm",
                workspace.stack,
                "--yes",
                "--preserve-config",
                folder=folder,
            )
    pulumi.run(workspace, "stack", "init", workspace.stack, folder=folder)


def plain_values(checkout: Path, registry: str, context: str | None) -> dict[str, Any]:
    """What infra/stacks says, and where the stack deploys to."""
    found: dict[str, Any] = yaml.safe_load(
        (checkout / "infra" / "stacks" / f"{EMBEDDED}.yaml").read_text()
    )
    if registry:
        found["plm:registry"] = registry
    if context is not None:
        found["kubernetes:context"] = context
    return found


def default_api_url(checkout: Path) -> str:
    """What Pulumi.yaml says."""
    return str(
        yaml.safe_load((checkout / "Pulumi.yaml").read_text())["config"]["apiUrl"]["default"]
    )


def configured(workspace: Workspace, name: str) -> str:
    """A plain value of the stack's file, or an empty string."""
    values = _read(workspace).get("config") or {}
    return str(values.get(f"plm:{name}") or "")


def set_images(workspace: Workspace, references: Mapping[str, str]) -> bool:
    """Write the images' references into the stack's file; whether that changed it."""
    values = _read(workspace)
    configuration = values.setdefault("config", {})
    if configuration.get("plm:images") == dict(references):
        return False
    configuration["plm:images"] = dict(references)
    write_private(workspace.configuration, yaml.safe_dump(values))
    return True


def _read(workspace: Workspace) -> dict[str, Any]:
    try:
        found: dict[str, Any] = yaml.safe_load(workspace.configuration.read_text())
    except FileNotFoundError:
        raise KitError(
            "there is no stack yet", "plm stack init", ExitCode.UNFIT_ENVIRONMENT
        ) from None
    return found


def write_private(path: Path, text: str) -> None:
    """A file that only its owner reads, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
