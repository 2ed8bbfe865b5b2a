"""A stack is made once, outside the checkout, private and with its secrets sealed; killed anywhere it ends the same."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from plminfra.config import SECRETS, unknown_keys
from plmkit.commands import down
from plmkit.console import KitError
from plmkit.credentials import load_credentials
from plmkit.stack import Workspace, making
from plmkit.state import Places
from support.paper_pulumi import PaperPulumi, configuration, is_known, secrets_of
from support.waiting import wait_until

CHECKOUT = Path(__file__).parents[4]
STEPS = ["stack ls", "stack init", "config set"]
PLM = (sys.executable, "-m", "plmkit")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


MADE = {".turn", "Pulumi.tiny.yaml", "passphrase", "ca.crt", "credentials.json", "pulumi"}


def test_it_is_made_once(pulumi: PaperPulumi, workspace: Workspace) -> None:
    assert not workspace.is_made
    assert making.init(workspace)
    assert workspace.is_made
    assert pulumi.steps == STEPS
    before = contents(workspace.places.state)
    assert not making.init(workspace)
    assert contents(workspace.places.state) == before
    assert pulumi.steps == STEPS


def test_only_its_owner_reads_it_and_nothing_lies_beside_it(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    old = os.umask(0)
    try:
        making.init(workspace)
    finally:
        os.umask(old)
    state = workspace.places.state
    assert names(state) == MADE
    assert [name for name in MADE if not down._is_ours(name)] == [], "no purge would remove it"
    assert state.stat().st_mode & 0o777 == 0o700
    assert workspace.backend.stat().st_mode & 0o777 == 0o700
    for private in (workspace.configuration, workspace.passphrase, workspace.places.credentials):
        assert private.stat().st_mode & 0o777 == 0o600, private


def test_nothing_is_written_into_the_checkout(
    pulumi: PaperPulumi, tmp_path: Path, workspace: Workspace
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "infra" / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "infra/stacks/tiny.yaml"):
        (checkout / name).write_bytes((CHECKOUT / name).read_bytes())
    places = Places(checkout, workspace.places.cache, workspace.places.state)
    before = contents(checkout)
    making.init(Workspace(places))
    assert contents(checkout) == before
    assert [call.cwd for call in pulumi.calls if Path(call.cwd).is_relative_to(checkout)] == []


def test_secrets_are_all_that_the_program_asks_for_and_never_in_clear(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    making.init(workspace)
    values = secrets_of(workspace, pulumi)
    assert set(values) == set(SECRETS)
    key = load_credentials(workspace.places.credentials).api_key
    private = [value for name, value in values.items() if name != "caCertificate"] + [key]
    files = contents(workspace.places.state)
    del files[workspace.places.credentials]
    for value in private:
        clear = [path.name for path, content in files.items() if value.encode() in content]
        assert clear == [], "in clear on the disk"
    for call in pulumi.calls:
        told = json.dumps([call.words, call.environment])
        assert [value for value in private if value in told] == [], "seen by every user in ps"


def test_the_gateway_s_file_knows_the_key_in_the_credentials(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    making.init(workspace)
    credentials = load_credentials(workspace.places.credentials)
    values = secrets_of(workspace, pulumi)
    assert credentials.api_key not in values["apiKeysFile"]
    assert is_known(credentials.api_key, values["apiKeysFile"])
    assert credentials.api_url == "https://198.51.100.2:30443"
    assert credentials.ca_file.read_text() == values["caCertificate"]


def test_plain_values_are_those_of_the_checkout_and_known_to_the_program(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    making.init(workspace)
    found = configuration(workspace)
    plain = yaml.safe_load((CHECKOUT / "infra" / "stacks" / "tiny.yaml").read_text())
    assert {name: found["config"][name] for name in plain} == plain
    assert found["encryptionsalt"]
    assert not unknown_keys(frozenset(found["config"]))


def test_another_cluster_has_no_hold_points_unless_somebody_asks_for_them(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    elsewhere = Workspace(workspace.places, "prod")
    making.init(elsewhere, api_url="https://192.0.2.7:30443")
    assert configuration(elsewhere)["config"]["plm:debugEnabled"] is False
    asked = configuration(elsewhere)
    asked["config"]["plm:debugEnabled"] = True
    elsewhere.configuration.write_text(yaml.safe_dump(asked))
    making.init(elsewhere, api_url="https://192.0.2.8:30443")
    assert configuration(elsewhere)["config"]["plm:debugEnabled"] is True
    making.init(workspace)
    assert "plm:debugEnabled" not in configuration(workspace)["config"], "Pulumi.yaml has it on"
    assert yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]["debugEnabled"][
        "default"
    ]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_failed_leaves_the_next_run_to_end_the_same(
    pulumi: PaperPulumi, workspace: Workspace, step: str
) -> None:
    pulumi.refuse(step)
    with pytest.raises(KitError, match="could not do it"):
        making.init(workspace)
    assert not workspace.is_made
    assert not workspace.configuration.exists()
    pulumi.refuse("")
    assert making.init(workspace)
    assert names(workspace.places.state) == MADE
    assert set(secrets_of(workspace, pulumi)) == set(SECRETS)


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_and_run_again_it_ends_the_same(
    pulumi: PaperPulumi, workspace: Workspace, step: str
) -> None:
    """SIGKILL: nothing of ours runs afterwards, so the scratch folder stays until the next run."""
    pulumi.halt(step)
    environment = {
        **pulumi.variables,
        "HOME": str(workspace.places.state.parent),
        "PLM_STATE_DIR": str(workspace.places.state),
        "PLM_CACHE_DIR": str(workspace.places.cache),
    }
    command = [*PLM, "stack", "init"]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        wait_until(
            lambda: pulumi.halting.exists() or process.poll() is not None, 30, "pulumi is at it"
        )
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(
        [*command, "-o", "json"], env=environment, capture_output=True, check=True
    )
    assert json.loads(again.stdout)["made"]
    assert names(workspace.places.state) == MADE
    assert set(secrets_of(workspace, pulumi)) == set(SECRETS)


def test_two_at_once_make_one_stack(pulumi: PaperPulumi, workspace: Workspace) -> None:
    made: list[bool] = []
    threads = [
        threading.Thread(target=lambda: made.append(making.init(workspace))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, True]
    assert pulumi.steps == STEPS


def test_a_private_file_is_private_also_where_a_killed_run_left_a_public_one(
    tmp_path: Path,
) -> None:
    (tmp_path / ".passphrase.new").write_text("half of o")
    (tmp_path / ".passphrase.new").chmod(0o644)
    making.write_private(tmp_path / "passphrase", "secret")
    assert (tmp_path / "passphrase").read_text() == "secret"
    assert (tmp_path / "passphrase").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == {"passphrase"}
