"""Makes a stack once: plain values, CA, passwords, key; and renews the CA and the key.

Killed anywhere and run again, it ends the same.
"""

import contextlib
import datetime as dt
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from plmkit import registries
from plmkit.console import ExitCode, KitError, say
from plmkit.kubectl import with_context
from plmkit.stack import edge_address, edge_certificate, pulumi, registry_login
from plmkit.stack import secrets as stack_secrets
from plmkit.stack.target import check_target, content_of
from plmkit.stack.workspace import EMBEDDED, Workspace
from plmkit.state import provide_state
from plmkit.turns import take_turn

_PASSPHRASE_BYTES = 32
_SECRETS = "plm:secrets"
_SCRATCH = "plm-stack-"


def init(
    workspace: Workspace, *, registry: str = "", api_url: str = "", login_file: Path | None = None
) -> bool:
    """Make the stack where it is missing; whether it was.

    One that is there keeps its secrets. It takes another registry, another login there and another address of its
    edge, and a new API key where its credentials are gone.
    """
    check_target(workspace)
    plain = _plain(registry, api_url)
    login = _login(workspace, registry, login_file)
    if not workspace.configuration.exists():
        edge_address.check_given(api_url, workspace.context)
    with _turn(workspace):
        if not workspace.configuration.exists():
            _make(workspace, plain, login)
            return True
        for name, value in plain.items():
            _configure(workspace, name, value)
        if login:
            with _draft(workspace) as draft:
                _encrypt(workspace, draft, {**_secrets(workspace, draft), **login})
        if not workspace.is_made:
            _renew_key(workspace)
        elif api_url:
            known = json.loads(workspace.credentials.read_text())
            write_private(workspace.credentials, json.dumps({**known, "apiUrl": api_url}, indent=2))
        return False


def renew_authority(workspace: Workspace) -> None:
    """Give the stack another CA; the next `pulumi up` hands it to the operator, which carries it into every pod.

    Until then, and for a while after, servers show certificates of the old one: our own trust takes in both, and first.
    """
    _check_made(workspace)
    with _turn(workspace), _draft(workspace) as draft:
        values = _secrets(workspace, draft)
        made = stack_secrets.make_authority(dt.datetime.now(dt.UTC))
        write_private(workspace.authority, made.certificate + _trusted(workspace, values))
        renewed = {"caCertificate": made.certificate, "caKey": made.key}
        _encrypt(workspace, draft, {**values, **renewed})


def forget_authorities(workspace: Workspace) -> None:
    """Trust the stack's CA alone from now on. Raises KitError, and changes nothing, unless the edge is known by it."""
    _check_made(workspace)
    with _turn(workspace), _draft(workspace) as draft:
        authority = _secrets(workspace, draft)["caCertificate"]
        edge_certificate.check_signed_by(authority, _api_url(workspace), workspace.context)
        write_private(workspace.authority, authority)


def _trusted(workspace: Workspace, values: Mapping[str, str]) -> str:
    """Whom we trust so far; servers may show certificates of each of them."""
    known = workspace.authority.read_text() if workspace.authority.exists() else ""
    return known if values["caCertificate"] in known else values["caCertificate"] + known


@contextlib.contextmanager
def _turn(workspace: Workspace) -> Iterator[None]:
    state = workspace.places.state
    provide_state(state)
    with take_turn(state / ".turn", lambda: say("waiting: another plm is at the stack")):
        # Of runs that were killed: whoever has the turn is the only one with a scratch folder.
        for left in state.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left)
        yield


def _plain(registry: str, api_url: str) -> dict[str, Any]:
    if registry:
        registries.check(registry)
    found: dict[str, Any] = {"registry": registry} if registry else {}
    if api_url:
        found |= {"apiUrl": api_url, "edgeAddresses": edge_address.addresses_of(api_url)}
        if port := edge_address.node_port_of(api_url):
            found["edgeNodePort"] = port
    return found


def _login(workspace: Workspace, registry: str, file: Path | None) -> dict[str, str]:
    """By its name among the secrets."""
    if file is None:
        return {}
    known = configured(workspace, "registry") if workspace.configuration.exists() else ""
    if not (registry or known):
        cure = with_context("plm stack init", workspace.context)
        raise KitError(
            "a login is for a registry, and the stack names none",
            f"{cure} --registry REGISTRY/PATH --registry-login {file}",
            ExitCode.WRONG_USAGE,
        )
    return {"registryLogin": registry_login.read(file, registry or known)}


def _make(workspace: Workspace, given: Mapping[str, Any], login: Mapping[str, str]) -> None:
    workspace.backend.mkdir(mode=0o700, exist_ok=True)
    if not workspace.passphrase.exists():
        write_private(workspace.passphrase, secrets.token_urlsafe(_PASSPHRASE_BYTES))
    made = stack_secrets.make(dt.datetime.now(dt.UTC))
    plain = plain_values(workspace.places.checkout, given, workspace.context)
    with _draft(workspace) as draft:
        _create(workspace, draft.parent)
        values = yaml.safe_load(draft.read_text()) or {}
        draft.write_text(yaml.safe_dump({**values, "config": plain}))
        _encrypt(workspace, draft, {**made.values, **login})
    _write_credentials(workspace, made.api_key, made.authority_certificate)


def _renew_key(workspace: Workspace) -> None:
    """The stack keeps only a hash of the operator's key: a lost one is replaced, and other clients keep theirs.

    The next `pulumi up` tells the gateway.
    """
    with _draft(workspace) as draft:
        values = _secrets(workspace, draft)
        key = _renewed(values.get("apiKeysFile"))
        _encrypt(workspace, draft, {**values, "apiKeysFile": key.file})
    _write_credentials(workspace, key.plain, _trusted(workspace, values))


def _renewed(known: str | None) -> stack_secrets.ApiKey:
    try:
        return stack_secrets.make_key(known) if known else stack_secrets.make_key()
    except (ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"apiKeysFile in the stack's secrets is no key file: {error!r}",
            "docs/operating.md, API keys, has its form; then the same command again",
        ) from error


@contextlib.contextmanager
def _draft(workspace: Workspace) -> Iterator[Path]:
    """Where Pulumi may write; at the end it becomes the stack's file, which so appears whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=workspace.places.state) as scratch:
        draft = Path(scratch) / workspace.configuration.name
        shutil.copy(workspace.places.checkout / "Pulumi.yaml", draft.parent)
        yield draft
        draft.chmod(0o600)
        draft.replace(workspace.configuration)


def _secrets(workspace: Workspace, draft: Path) -> dict[str, str]:
    """The secrets of the stack that is there, and the draft begun as its copy."""
    shutil.copy(workspace.configuration, draft)
    file = ("--config-file", str(draft))
    found = pulumi.run(workspace, "config", "get", _SECRETS, *file, folder=draft.parent)
    values: dict[str, str] = json.loads(found)
    return values


def _encrypt(workspace: Workspace, draft: Path, values: Mapping[str, str]) -> None:
    pulumi.run(
        workspace,
        "config", "set", _SECRETS, "--secret", "--config-file", str(draft),
        folder=draft.parent, stdin=json.dumps(dict(values)),
    )  # fmt: skip


def _write_credentials(workspace: Workspace, api_key: str, trusted: str) -> None:
    """Last of all: without them the stack does not count as made."""
    write_private(workspace.authority, trusted)
    credentials = {
        "stack": workspace.stack,
        "apiUrl": _api_url(workspace),
        "apiKey": api_key,
        "caFile": str(workspace.authority),
    }
    write_private(workspace.credentials, json.dumps(credentials, indent=2))


def _create(workspace: Workspace, folder: Path) -> None:
    listed = json.loads(pulumi.run(workspace, "stack", "ls", "--json", folder=folder))
    if any(each["name"] == workspace.stack for each in listed):
        # From a run that was killed: nothing was deployed with it, since its configuration never appeared.
        remove = ("stack", "rm", workspace.stack, "--yes", "--preserve-config")
        try:
            pulumi.run(workspace, *remove, folder=folder)
        except KitError as error:
            raise KitError(
                f"the stack {workspace.stack} is deployed and {workspace.configuration} is gone: {error.what}",
                "put the file back, or plm down --purge, which removes all data",
            ) from error
    pulumi.run(workspace, "stack", "init", workspace.stack, folder=folder)


def plain_values(checkout: Path, given: Mapping[str, Any], context: str | None) -> dict[str, Any]:
    """What infra/stacks says, what was given, and where the stack deploys to."""
    found: dict[str, Any] = yaml.safe_load(
        (checkout / "infra" / "stacks" / f"{EMBEDDED}.yaml").read_text()
    )
    if context is not None:
        # Hold points and forced exits are for the cluster that a person made for a first look.
        found |= {"kubernetes:context": context, "plm:debugEnabled": False}
    return found | {f"plm:{name}": value for name, value in given.items()}


def default_api_url(checkout: Path) -> str:
    """What Pulumi.yaml says."""
    return str(
        yaml.safe_load((checkout / "Pulumi.yaml").read_text())["config"]["apiUrl"]["default"]
    )


def _api_url(workspace: Workspace) -> str:
    return configured(workspace, "apiUrl") or default_api_url(workspace.places.checkout)


def configured(workspace: Workspace, name: str) -> str:
    """A plain value of the stack's file, or an empty string."""
    return str(_read(workspace)["config"].get(f"plm:{name}") or "")


def set_images(workspace: Workspace, references: Mapping[str, str]) -> bool:
    """Write the images' references into the stack's file; whether that changed it."""
    with _turn(workspace):
        return _configure(workspace, "images", dict(references))


def _configure(workspace: Workspace, name: str, value: Any) -> bool:
    values = _read(workspace)
    configuration = values["config"]
    if configuration.get(f"plm:{name}") == value:
        return False
    configuration[f"plm:{name}"] = value
    write_private(workspace.configuration, yaml.safe_dump(values))
    return True


def _read(workspace: Workspace) -> dict[str, Any]:
    try:
        return content_of(workspace.configuration)
    except FileNotFoundError:
        raise _missing(workspace) from None


def _check_made(workspace: Workspace) -> None:
    check_target(workspace)
    if not workspace.is_made:
        raise _missing(workspace)


def _missing(workspace: Workspace) -> KitError:
    cure = with_context("plm stack init", workspace.context)
    return KitError("there is no stack yet", cure, ExitCode.UNFIT_ENVIRONMENT)


def write_private(path: Path, text: str) -> None:
    """A file that only its owner reads, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
