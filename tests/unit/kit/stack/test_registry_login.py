"""The login by which another cluster pulls: this registry's and no other, and none that only a helper could tell."""

import json
from pathlib import Path
from typing import Any

import pytest
from plminfra.config import REGISTRY_LOGIN
from plmkit.console import ExitCode, KitError
from plmkit.stack import Workspace, making
from plmkit.stack.registry_login import read
from support.paper_pulumi import PaperPulumi, secrets_of

REGISTRY = "registry.example:5000/team/plm"
EDGE = "https://192.0.2.7:30443"
OURS, OTHER = {"auth": "b3Vycw=="}, {"auth": "b3RoZXI="}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.fixture
def elsewhere(workspace: Workspace) -> Workspace:
    """A stack of another cluster, not made yet."""
    return Workspace(workspace.places, "prod")


def keep(file: Path, auths: Any, **more: Any) -> Path:
    file.write_text(json.dumps({"auths": auths, **more}))
    return file


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        (REGISTRY, "registry.example:5000"),
        (f"{REGISTRY}/", "https://registry.example:5000"),
        (REGISTRY, "https://registry.example:5000/v2/"),
        (REGISTRY, "registry.example:5000/team"),
        (REGISTRY, REGISTRY),
        ("docker.io/team", "https://index.docker.io/v1/"),
        ("docker.io/team", "docker.io"),
        ("[2001:db8::1]:5000/plm", "[2001:db8::1]:5000"),
    ],
)
def test_the_registry_s_login_is_taken_as_it_was_kept_and_no_other(
    file: Path, registry: str, name: str
) -> None:
    keep(file, {"elsewhere.example": OTHER, "registry.example": OTHER, name: OURS}, credsStore="x")
    assert json.loads(read(file, registry)) == {"auths": {name: OURS}}


def test_of_several_the_closest_is_taken(file: Path) -> None:
    keep(file, {"registry.example:5000": OTHER, "registry.example:5000/team": OURS})
    assert json.loads(read(file, REGISTRY))["auths"] == {"registry.example:5000/team": OURS}


def test_a_name_with_a_password_is_a_login_too(file: Path) -> None:
    login = {"username": "reader", "password": "a-password"}
    keep(file, {"registry.example:5000": login})
    assert json.loads(read(file, REGISTRY))["auths"] == {"registry.example:5000": login}


@pytest.mark.parametrize(
    "auths",
    [
        {},
        {"elsewhere.example": OURS},
        {"registry.example:5000/team/plm2": OURS},
        {"registry.example:5000": {}},
        {"registry.example:5000": {"auth": ""}},
        {"registry.example:5000": {"username": "reader"}},
        {"registry.example:5000": "b3Vycw=="},
    ],
)
def test_a_file_without_the_login_is_refused_with_what_makes_one(file: Path, auths: Any) -> None:
    """`docker login` with a credential helper leaves an empty one."""
    with pytest.raises(
        KitError, match=r"has no login for registry\.example:5000/team/plm"
    ) as caught:
        read(keep(file, auths), REGISTRY)
    assert f"skopeo login --authfile {file} registry.example:5000 " in caught.value.cure
    assert caught.value.exit_code is ExitCode.WRONG_USAGE


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"auths": []}', b"\xff"])
def test_what_is_no_docker_configuration_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(KitError, match="is no Docker configuration"):
        read(file, REGISTRY)


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(KitError, match="cannot be read: No such file"):
        read(file, REGISTRY)


def test_a_new_stack_keeps_the_login_with_its_secrets(
    pulumi: PaperPulumi, elsewhere: Workspace, file: Path
) -> None:
    keep(file, {"registry.example:5000": OURS})
    assert making.init(elsewhere, registry=REGISTRY, api_url=EDGE, login_file=file)
    kept = json.loads(secrets_of(elsewhere, pulumi)[REGISTRY_LOGIN])
    assert kept == {"auths": {"registry.example:5000": OURS}}
    for path in filter(Path.is_file, elsewhere.places.state.rglob("*")):
        assert OURS["auth"].encode() not in path.read_bytes(), "in clear on the disk"
    for call in pulumi.calls:
        told = json.dumps([call.words, call.environment])
        assert OURS["auth"] not in told, "seen by every user in ps"


def test_a_stack_that_is_there_takes_another_login_and_keeps_all_else(
    pulumi: PaperPulumi, elsewhere: Workspace, file: Path
) -> None:
    """For the registry that it has, where none is given."""
    making.init(elsewhere, registry=REGISTRY, api_url=EDGE)
    before = secrets_of(elsewhere, pulumi)
    for login in (OURS, OTHER):
        keep(file, {"registry.example:5000": login})
        assert not making.init(elsewhere, login_file=file)
        after = secrets_of(elsewhere, pulumi)
        kept = json.loads(after.pop(REGISTRY_LOGIN))
        assert kept == {"auths": {"registry.example:5000": login}}
        assert after == before


def test_a_login_that_is_none_makes_and_changes_nothing(
    pulumi: PaperPulumi, elsewhere: Workspace, file: Path
) -> None:
    keep(file, {})
    with pytest.raises(KitError, match="has no login"):
        making.init(elsewhere, registry=REGISTRY, api_url=EDGE, login_file=file)
    assert not elsewhere.places.state.exists()
    making.init(elsewhere, registry=REGISTRY, api_url=EDGE)
    before = elsewhere.configuration.read_bytes()
    with pytest.raises(KitError, match=r"has no login for other\.example/plm"):
        making.init(elsewhere, registry="other.example/plm", login_file=file)
    assert elsewhere.configuration.read_bytes() == before


def test_a_login_without_a_registry_is_for_nothing(
    pulumi: PaperPulumi, elsewhere: Workspace, file: Path
) -> None:
    keep(file, {"registry.example:5000": OURS})
    for _ in range(2):
        with pytest.raises(KitError, match="the stack names none") as caught:
            making.init(elsewhere, api_url=EDGE, login_file=file)
        assert "plm stack init --context prod --registry REGISTRY/PATH" in caught.value.cure
        making.init(elsewhere, api_url=EDGE)
