"""A stack that is there keeps its secrets: it takes images and a registry, and a new key where the old one is lost."""

import json
from pathlib import Path

import pytest
from plm.domain.errors import Refused
from plm.gateway.keys import Keys, Role
from plminfra.config import SECRETS
from plmkit.commands import down
from plmkit.console import ExitCode, KitError
from plmkit.credentials import chosen_credentials, load_credentials
from plmkit.stack import Workspace, edge_address, making
from plmkit.state import Places
from support.paper_gateway import key_entry
from support.paper_pulumi import PaperPulumi, configuration, is_known, secrets_of

CHECKOUT = Path(__file__).parents[4]
EDGE = "https://192.0.2.7:30443"


@pytest.fixture
def workspace(pulumi: PaperPulumi, workspace: Workspace) -> Workspace:
    """Of a stack that was made."""
    making.init(workspace)
    pulumi.forget()
    return workspace


@pytest.mark.parametrize("left", [None, "", "{", "[]", '{"apiUrl": "https://x"}'])
def test_lost_credentials_get_a_new_key_and_keep_every_other_secret(
    pulumi: PaperPulumi, workspace: Workspace, left: str | None
) -> None:
    """`plm up` then tells the gateway. The old way out, a new stack, would lose the database's passwords."""
    old, before = load_credentials(workspace.places.credentials), secrets_of(workspace, pulumi)
    workspace.places.credentials.unlink()
    if left is not None:
        workspace.places.credentials.write_text(left)
    assert not making.init(workspace)
    new, after = load_credentials(workspace.places.credentials), secrets_of(workspace, pulumi)
    assert is_known(new.api_key, after["apiKeysFile"])
    assert not is_known(old.api_key, after["apiKeysFile"])
    assert {name for name in before if before[name] != after[name]} == {"apiKeysFile"}
    assert workspace.places.credentials.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in workspace.places.state.glob("plm-stack-*")] == []


def test_a_new_key_of_the_operator_leaves_every_other_client_theirs(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    """Whoever lost their own credentials must not lock out everybody's shop."""
    old, values = load_credentials(workspace.credentials), secrets_of(workspace, pulumi)
    [operator] = json.loads(values["apiKeysFile"])["clients"]
    shop = key_entry("shop", "client", "key-of-the-shop", ["b"])
    keys = {**values, "apiKeysFile": json.dumps({"clients": [shop, operator]})}
    making._encrypt(workspace, workspace.configuration, keys)
    workspace.credentials.unlink()
    making.init(workspace)
    path = workspace.places.state / "keys.json"
    path.write_text(secrets_of(workspace, pulumi)["apiKeysFile"])
    gateway = Keys(path)
    assert gateway.client_of("Bearer key-of-the-shop").nodes == {"b"}
    new = load_credentials(workspace.credentials).api_key
    assert gateway.client_of(f"Bearer {new}").role is Role.OPERATOR
    with pytest.raises(Refused):
        gateway.client_of(f"Bearer {old.api_key}")


@pytest.mark.parametrize("keys", ["{", "[]", '{"clients": [{}]}', '{"clients": 1}'])
def test_a_key_file_that_is_none_is_told_of_and_left_as_it_is(
    pulumi: PaperPulumi, workspace: Workspace, keys: str
) -> None:
    """Somebody's clients are in it."""
    values = {**secrets_of(workspace, pulumi), "apiKeysFile": keys}
    making._encrypt(workspace, workspace.configuration, values)
    workspace.credentials.unlink()
    with pytest.raises(KitError, match="is no key file"):
        making.init(workspace)
    assert secrets_of(workspace, pulumi) == values


def test_a_key_whose_renewal_was_cut_off_is_renewed_again(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    before = workspace.configuration.read_bytes()
    workspace.places.credentials.unlink()
    for step in ("config get", "config set"):
        pulumi.refuse(step)
        with pytest.raises(KitError):
            making.init(workspace)
        assert workspace.configuration.read_bytes() == before
    pulumi.refuse("")
    making.init(workspace)
    assert workspace.is_made


def test_each_stack_keeps_its_own_credentials(pulumi: PaperPulumi, workspace: Workspace) -> None:
    """A payment for one cluster must not reach another one."""
    before = workspace.credentials.read_bytes()
    elsewhere = Workspace(workspace.places, "prod")
    assert making.init(elsewhere, api_url=EDGE)
    assert workspace.is_made
    assert elsewhere.is_made
    assert workspace.credentials.read_bytes() == before
    for each in (workspace, elsewhere):
        authority = secrets_of(each, pulumi)["caCertificate"]
        assert load_credentials(each.credentials).ca_file.read_text() == authority
    foreign = load_credentials(elsewhere.credentials)
    assert (foreign.api_url, elsewhere.credentials.stat().st_mode & 0o777) == (EDGE, 0o600)
    left = [path.name for path in workspace.places.state.iterdir() if not down._is_ours(path.name)]
    assert left == [], "no purge would remove it"


def test_where_the_edge_is_goes_into_certificate_stack_and_credentials(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    elsewhere = Workspace(workspace.places, "prod")
    making.init(elsewhere, api_url=EDGE)
    key = load_credentials(elsewhere.credentials).api_key
    assert not making.init(elsewhere, api_url="https://192.0.2.8:443")
    found = configuration(elsewhere)["config"]
    assert found["plm:edgeNodePort"] == 30443
    assert found["plm:apiUrl"] == "https://192.0.2.8:443"
    assert found["plm:edgeAddresses"] == ["192.0.2.8"]
    after = load_credentials(elsewhere.credentials)
    assert (after.api_url, after.api_key) == ("https://192.0.2.8:443", key)


def test_the_context_chooses_whose_credentials_are_used(
    pulumi: PaperPulumi, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLM_STATE_DIR", str(workspace.places.state))
    making.init(Workspace(workspace.places, "prod"), api_url=EDGE)
    assert chosen_credentials("prod").api_url == EDGE
    assert chosen_credentials(None).api_url == "https://198.51.100.2:30443"
    monkeypatch.setenv("PLM_CONTEXT", "prod")
    assert chosen_credentials(None).api_url == EDGE
    with pytest.raises(KitError) as missing:
        chosen_credentials("stage")
    assert missing.value.cure == "plm up --context stage"


def test_nobody_pays_on_a_cluster_of_nearly_that_name(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLM_STATE_DIR", str(workspace.places.state))
    made = Workspace(workspace.places, "team/x")
    making.init(made, api_url=EDGE)
    assert chosen_credentials("team/x").api_url == EDGE
    with pytest.raises(KitError, match="deploys to team/x, not to team-x"):
        chosen_credentials("team-x")
    values = configuration(made)
    del values["config"]["kubernetes:context"]
    made.configuration.write_text(json.dumps(values))
    with pytest.raises(KitError, match="does not say which cluster") as refused:
        chosen_credentials("team/x")
    assert refused.value.cure.startswith("write kubernetes:context: team/x under config")


def test_the_edge_listens_where_a_node_is_reached(workspace: Workspace) -> None:
    elsewhere = Workspace(workspace.places, "prod")
    making.init(elsewhere, api_url="https://192.0.2.7:31000")
    assert configuration(elsewhere)["config"]["plm:edgeNodePort"] == 31000
    making.init(elsewhere, api_url="https://192.0.2.7:32000")
    assert configuration(elsewhere)["config"]["plm:edgeNodePort"] == 32000
    # What leads from a port that no node has, or from this machine, is its owner's.
    making.init(elsewhere, api_url="https://localhost:31000")
    assert configuration(elsewhere)["config"]["plm:edgeNodePort"] == 32000


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://192.0.2.7:30443", ["192.0.2.7"]),
        ("https://[2001:db8::7]:30443", ["2001:db8::7"]),
        ("https://localhost:8443", []),
    ],
)
def test_an_edge_is_reached_by_what_its_certificate_can_name(url: str, names: list[str]) -> None:
    assert edge_address.addresses_of(url) == names


@pytest.mark.parametrize(
    "url",
    [
        "192.0.2.7:30443",
        "http://192.0.2.7",
        "https://pay.example",
        "https://",
        "https://[x",
        "https://192.0.2.7:x",
    ],
)
def test_what_no_certificate_of_the_edge_names_is_refused(url: str) -> None:
    with pytest.raises(KitError, match="is no address of an edge") as refused:
        edge_address.addresses_of(url)
    assert refused.value.exit_code is ExitCode.WRONG_USAGE


def test_a_deployed_stack_whose_configuration_is_gone_is_not_made_over(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    """New passwords would lock everyone out of the data."""
    (workspace.backend / "stacks.json").write_text('{"tiny": "deployed"}')
    workspace.configuration.unlink()
    with pytest.raises(KitError, match="still has resources") as refused:
        making.init(workspace)
    assert str(workspace.configuration) in refused.value.what
    assert refused.value.cure.startswith("put the file back")
    assert "stack init" not in pulumi.steps


def test_a_registry_is_written_also_into_a_stack_that_is_there(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    """It is what `plm up --context` tells people to type."""
    elsewhere = Workspace(workspace.places, "prod")
    making.init(elsewhere, api_url=EDGE)
    assert making.configured(elsewhere, "registry") == ""
    assert not making.init(elsewhere, registry="registry.example/plm")
    assert making.configured(elsewhere, "registry") == "registry.example/plm"
    found = configuration(elsewhere)["config"]
    assert found["kubernetes:context"] == "prod"
    assert set(secrets_of(elsewhere, pulumi)) == set(SECRETS)


def test_images_are_written_once_and_leave_the_rest_as_it_is(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    before = configuration(workspace)
    references = {"services": "plm.local/services@sha256:1"}
    assert making.set_images(workspace, references)
    written = workspace.configuration.stat().st_mtime_ns
    assert not making.set_images(workspace, references)
    assert workspace.configuration.stat().st_mtime_ns == written
    assert workspace.configuration.stat().st_mode & 0o777 == 0o600
    after = configuration(workspace)
    assert after["config"].pop("plm:images") == references
    assert after == before


def test_without_a_stack_one_is_told_how_to_make_it(tmp_path: Path) -> None:
    workspace = Workspace(Places(CHECKOUT, tmp_path / "cache", tmp_path / "nothing"))
    with pytest.raises(KitError, match="there is no stack yet") as refused:
        making.set_images(workspace, {})
    assert refused.value.cure == "plm stack init"
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
