"""The login by which another cluster pulls images, taken from what `docker login` or `skopeo login` has kept."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plmkit.console import ExitCode, KitError

# As docker keeps them: with a scheme, and one of its own registry with the version of its interface.
_SCHEME, _VERSIONS = "https://", ("/v1/", "/v2/", "/")
_DOCKER = {"docker.io": "index.docker.io"}


def read(file: Path, registry: str) -> str:
    """A Docker configuration with the login of this registry and no other: what Kubernetes pulls by.

    Raises KitError for a file that is none, and for one that has no such login.
    """
    logins = _logins(file)
    for place in _places(registry):
        for name, login in logins.items():
            if _bare(name) == place and _is_whole(login):
                return json.dumps({"auths": {name: login}})
    raise _refused(
        f"{file} has no login for {registry}",
        f"skopeo login --authfile {file} {registry.partition('/')[0]} (docker login may keep it in a"
        " credential helper, where no cluster can read it); then the same again",
    )


def _logins(file: Path) -> Mapping[str, Any]:
    try:
        kept = json.loads(file.read_text())
    except OSError as error:
        raise _refused(f"{file} cannot be read: {error.strerror}", "name another") from None
    except ValueError as error:  # bytes that are no text among it
        raise _refused(f"{file} is no Docker configuration: {error}", "name another") from None
    logins = kept.get("auths", {}) if isinstance(kept, dict) else None
    if not isinstance(logins, dict):
        raise _refused(f"{file} is no Docker configuration: it has no auths", "name another")
    return logins


def _places(registry: str) -> Iterator[str]:
    """The registry with its path, then every shorter one: the first that is known is the closest."""
    path = registry.rstrip("/")
    while path:
        yield path
        yield _DOCKER.get(path, path)
        path = path.rpartition("/")[0]


def _bare(name: str) -> str:
    found = name.removeprefix(_SCHEME)
    for version in _VERSIONS:
        found = found.removesuffix(version)
    return found


def _is_whole(login: Any) -> bool:
    """An empty one says that a credential helper has it."""
    return isinstance(login, dict) and bool(
        login.get("auth") or (login.get("username") and login.get("password"))
    )


def _refused(what: str, cure: str) -> KitError:
    return KitError(what, cure, ExitCode.WRONG_USAGE)
