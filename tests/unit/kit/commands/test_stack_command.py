"""`plm stack` with a pulumi that the test wrote."""

import subprocess
from pathlib import Path

import pytest
from support.kit_process import Kit
from support.paper_pulumi import PaperPulumi, put_pulumi


@pytest.fixture
def pulumi(tmp_path: Path) -> PaperPulumi:
    return put_pulumi(tmp_path / "pulumi")


@pytest.fixture
def kit(tmp_path: Path, pulumi: PaperPulumi) -> Kit:
    return Kit(tmp_path, variables=pulumi.variables)


def test_init_makes_it_once_and_says_where_it_is(kit: Kit) -> None:
    file = kit.state / "Pulumi.tiny.yaml"
    assert kit.json("stack", "init") == {
        "stack": "tiny",
        "file": str(file),
        "made": True,
    }
    again = kit.call("stack", "init")
    assert again.stdout == f"Kept stack tiny: {file}\n"


def test_env_is_what_a_shell_evaluates(kit: Kit) -> None:
    kit.call("stack", "init")
    lines = kit.call("stack", "env")
    assert (lines.returncode, lines.stderr) == (0, "")
    script = f'{lines.stdout}\npulumi stack output --json && echo "$KUBECONFIG"'
    shell = subprocess.run(
        ["/bin/sh", "-euc", script],
        env=kit.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.splitlines()[-1] == str(kit.state / "kubeconfig")
    found = kit.json("stack", "env")
    assert found["PULUMI_STACK"] == "tiny"
    assert found["PATH_FIRST"][-1] == str(kit.cache / "tools" / "bin")


def test_an_empty_context_is_none_as_everywhere(kit: Kit) -> None:
    """A script's unset variable: kubectl would go to whatever cluster is the person's own."""
    kit.call("stack", "init")
    meant = kit.json("stack", "env")
    assert kit.json("stack", "env", "--context", "") == meant
    assert kit.json("stack", "init", "--context", "")["stack"] == "tiny"


def test_outputs_are_what_the_stack_tells(kit: Kit) -> None:
    kit.call("stack", "init")
    assert kit.json("stack", "outputs") == {"apiUrl": "https://edge"}
    assert kit.call("stack", "outputs").stdout == "apiUrl: https://edge\n"


def test_without_a_stack_one_is_told_how_to_make_it(kit: Kit, pulumi: PaperPulumi) -> None:
    outputs = kit.call("stack", "outputs")
    assert outputs.returncode == 3
    assert "try: plm stack init" in outputs.stderr
    env = kit.call("stack", "env")
    assert env.returncode == 0
    assert "there is no stack yet; try: plm stack init" in env.stderr
    assert pulumi.calls == []
    assert not kit.state.exists()


def test_each_context_has_its_stack_by_option_or_by_environment(kit: Kit) -> None:
    where = ("--api-url", "https://192.0.2.7:30443")
    by_option = kit.json("stack", "init", "--context", "prod", *where)
    assert (by_option["stack"], by_option["made"]) == ("tiny-prod", True)
    by_environment = kit.with_variables(PLM_CONTEXT="prod").json("stack", "init")
    assert (by_environment["stack"], by_environment["made"]) == ("tiny-prod", False)


def test_two_contexts_that_come_to_one_name_do_not_share_a_stack(
    kit: Kit, pulumi: PaperPulumi
) -> None:
    where = ("--api-url", "https://192.0.2.7:30443")
    kit.call("stack", "init", "--context", "team/x", *where)
    pulumi.forget()
    for command in (("init", *where), ("env",), ("outputs",)):
        done = kit.call("stack", *command, "--context", "team-x")
        assert done.returncode == 2, command
        assert "the stack tiny-team-x deploys to team/x, not to team-x" in done.stderr
        assert "try: kubectl config rename-context team-x " in done.stderr
    assert pulumi.calls == []
    assert kit.json("stack", "init", "--context", "team/x")["made"] is False


def test_without_a_stack_of_another_cluster_one_is_told_how_to_make_that_one(kit: Kit) -> None:
    done = kit.call("stack", "outputs", "--context", "prod")
    assert "try: plm stack init --context prod\n" in done.stderr
    assert "plm stack init --context prod\n" in kit.call("stack", "env", "--context", "prod").stderr


def test_another_cluster_s_edge_is_asked_for_before_anything_is_made(
    kit: Kit, pulumi: PaperPulumi
) -> None:
    """Its stack would point people, and `plm pay`, at the embedded cluster's address."""
    done = kit.call("stack", "init", "--context", "prod", "--registry", "registry.example/plm")
    assert done.returncode == 2
    assert "--api-url https://ADDRESS:30443" in done.stderr
    assert kit.call("stack", "init", "--api-url", "https://pay.example").returncode == 2
    assert pulumi.calls == []
    assert not kit.state.exists()


@pytest.mark.parametrize("name", ["a-file", "a-file/state"])
def test_where_the_state_cannot_lie_it_says_how_to_name_another_place(
    kit: Kit, pulumi: PaperPulumi, name: str
) -> None:
    (kit.folder / "a-file").touch()
    done = kit.with_variables(PLM_STATE_DIR=str(kit.folder / name)).call("stack", "init")
    assert done.returncode == 3
    assert f"plm: the state folder {kit.folder / name} cannot be made: " in done.stderr
    assert done.stderr.endswith("  try: name one with PLM_STATE_DIR=/path/to/a/folder\n")
    assert pulumi.calls == []


def test_without_pulumi_it_says_what_brings_it(kit: Kit) -> None:
    done = Kit(kit.folder, system_programs=False).call("stack", "init")
    assert done.returncode == 3
    assert "pulumi is missing" in done.stderr
    assert "try: plm tools" in done.stderr


def test_another_ca_is_made_and_the_old_one_trusted_on(kit: Kit) -> None:
    kit.call("stack", "init")
    file = kit.state / "ca.crt"
    old = file.read_text()
    done = kit.call("stack", "renew-ca")
    assert done.stdout == "Made another CA for stack tiny; next: plm up\n"
    assert file.read_text().endswith(old)
    found = kit.json("stack", "renew-ca")
    assert found == {"stack": "tiny", "caFile": str(file), "renewed": True}
    before = file.read_text()
    assert kit.call("stack", "renew-ca", "--forget-old").returncode, "no edge shows the new one"
    assert file.read_text() == before


def test_a_ca_is_renewed_only_where_there_is_a_stack(kit: Kit, pulumi: PaperPulumi) -> None:
    for options in ((), ("--forget-old",)):
        done = kit.call("stack", "renew-ca", *options)
        assert done.returncode == 3
        assert "try: plm stack init" in done.stderr
    assert pulumi.calls == []
    assert not kit.state.exists()


@pytest.mark.parametrize("text", ["", "[]", "config: [", "config: []", "\udcff"])
def test_a_file_that_is_no_stack_s_is_told_and_left_as_it_is(kit: Kit, text: str) -> None:
    """As an editor leaves it, or a full disk under plain pulumi. It is no fault of plm, and no verdict on a ledger."""
    kit.call("stack", "init")
    usual, other = (kit.state / f"Pulumi.{name}.yaml" for name in ("tiny", "tiny-prod"))
    for file, arguments in (
        (usual, ("stack", "init", "--api-url", "https://192.0.2.7:30443")),
        (other, ("stack", "init", "--context", "prod")),
        (other, ("verify", "ledger", "--context", "prod")),
    ):
        file.write_text(text, errors="surrogateescape")
        refused = kit.call(*arguments)
        assert refused.returncode == 3, refused.stderr
        assert refused.stderr.startswith(f"plm: {file} is no stack's file: ")
        assert file.read_text(errors="surrogateescape") == text
