"""Exit codes and sentences for whoever types something wrong, has nothing running, or presses Ctrl-C."""

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest
from plmkit.console import ExitCode
from support.fake_gateway import running_gateway
from support.kit_process import PLM, Kit
from support.programs import put
from support.waiting import wait_until

WRONG = [
    ("nonsense",),
    ("status", "extra"),
    ("status", "--nonsense"),
    ("doctor", "-o", "yaml"),
    ("logs",),
    ("logs", "gateway", "--tail", "-1"),
    ("demo", "--times", "0"),
    ("stack", "nonsense"),
    ("stack",),
    ("verify",),
    ("verify", "books"),
    ("up", "now"),
    ("down", "--purge=maybe"),
    ("tools", "no-such-tool"),
]
# Without a cluster, a stack or credentials each of these can only say what to type first.
NOTHING_THERE = {
    ("status",): "plm up",
    ("logs", "gateway"): "plm up",
    ("verify", "ledger"): "plm up",
    ("demo",): "plm up",
    ("pay", "A", "D", "1.00", "USD"): "plm up",
    ("stack", "outputs"): "plm stack init",
    ("dev", "--once"): "plm up",
}


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """An installation with a kubectl, and nothing that it could reach."""
    put(tmp_path / "cache" / "tools" / "bin", "kubectl", "exit 1")
    return Kit(tmp_path)


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_ends_with_two_and_says_what_is_wrong(
    kit: Kit, arguments: tuple[str, ...]
) -> None:
    done = kit.call(*arguments)
    assert done.returncode == ExitCode.WRONG_USAGE, done.stdout + done.stderr
    assert (done.stdout + done.stderr).strip()
    assert "Traceback" not in done.stderr
    assert not kit.state.exists()


@pytest.mark.parametrize("arguments", NOTHING_THERE, ids=" ".join)
def test_without_anything_running_it_ends_with_three_and_says_what_to_type(
    kit: Kit, arguments: tuple[str, ...]
) -> None:
    done = kit.call(*arguments)
    assert done.returncode == ExitCode.UNFIT_ENVIRONMENT, done.stderr
    said = done.stdout + done.stderr
    assert f"try: {NOTHING_THERE[arguments]}" in said or "next      plm up" in said
    assert "Traceback" not in said
    assert not kit.state.exists()


@pytest.mark.parametrize("arguments", NOTHING_THERE, ids=" ".join)
@pytest.mark.parametrize("name", ["a-file/state", "ring", "x" * 300, "\udcff"])
def test_a_state_folder_that_cannot_be_one_is_told(
    kit: Kit, arguments: tuple[str, ...], name: str
) -> None:
    """It is looked into before anything is done there; `plm up` makes it where it can be made."""
    (kit.folder / "a-file").touch()
    (kit.folder / "ring").symlink_to(kit.folder / "ring")
    before = sorted(kit.folder.rglob("*"))
    done = kit.with_variables(PLM_STATE_DIR=str(kit.folder / name)).call(*arguments)
    said = done.stdout + done.stderr
    assert done.returncode == ExitCode.UNFIT_ENVIRONMENT, said
    assert "try: " in said or "next      plm up" in said
    assert "Traceback" not in said
    assert sorted(kit.folder.rglob("*")) == before


def test_a_fault_of_plm_has_an_exit_code_of_its_own(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 is a verdict: who reads that the ledger is broken must not read it from a slip of ours."""

    def slip(*_: object) -> None:
        raise KeyError("apiUrl")

    monkeypatch.setattr("plmkit.credentials.load_credentials", slip)
    done = kit.call("verify", "ledger")
    assert done.returncode == ExitCode.OWN_FAULT
    assert "KeyError: 'apiUrl'\nplm: this is a fault of plm itself\n  try: report it" in done.stderr


def test_what_the_system_refuses_is_told_in_its_own_words(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/secret")

    monkeypatch.setattr("plmkit.credentials.load_credentials", refuse)
    done = kit.call("verify", "ledger")
    assert done.returncode == ExitCode.UNFIT_ENVIRONMENT
    assert done.stderr == (
        "plm: /secret: Permission denied\n  try: mend that, then the same command again\n"
    )


def test_where_a_copy_finds_no_room_is_told(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system names the file that is copied first: its disk is not the one to look at."""

    def refuse(*_: object) -> None:
        full = os.strerror(errno.ENOSPC)
        raise OSError(errno.ENOSPC, full, "/checkout/Pulumi.yaml", None, "/state/Pulumi.yaml")

    monkeypatch.setattr("plmkit.credentials.load_credentials", refuse)
    said = kit.call("verify", "ledger").stderr
    assert said.startswith("plm: /checkout/Pulumi.yaml to /state/Pulumi.yaml: No space left on dev")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_how_to_go_on(kit: Kit, number: signal.Signals) -> None:
    started = kit.folder / "started"
    (kit.state).mkdir()
    (kit.state / "kubeconfig").touch()
    put(kit.cache / "tools" / "bin", "kubectl", f"touch {started}; exec sleep 60")
    with subprocess.Popen(
        [*PLM, "status"], env=kit.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: started.exists() or process.poll() is not None, 30, "kubectl is asked")
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "plm: interrupted; run the same command again to go on\n"


def test_a_payment_that_was_interrupted_leaves_its_key(kit: Kit) -> None:
    """Nobody knows what became of it; the same key pays at most once."""
    kit.state.mkdir()
    with running_gateway(kit.state) as gateway:
        asked, go_on = kit.folder / "asked", kit.folder / "go-on"

        def hold_back(_key: str) -> None:
            asked.touch()
            wait_until(go_on.exists, 30, "the payment was interrupted")

        gateway.before_answer = hold_back
        command = [*PLM, "pay", "A", "D", "1.00", "USD"]
        with subprocess.Popen(
            command, env=kit.environment, stderr=subprocess.PIPE, text=True
        ) as process:
            wait_until(lambda: asked.exists() or process.poll() is not None, 30, "it is asked")
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        go_on.touch()
        [key] = gateway.asked
    assert process.returncode == 130
    assert f"key {key}\n" in said


def test_dev_never_touches_another_cluster(kit: Kit) -> None:
    """Its images are on no registry: the pods of that cluster would wait for them for ever."""
    kit.state.mkdir()
    (kit.state / "kubeconfig").touch()
    done = kit.with_variables(PLM_CONTEXT="prod").call("dev", "--once")
    assert done.returncode == 2
    assert "plm dev works on the embedded cluster alone" in done.stderr
    assert "try: env -u PLM_CONTEXT plm dev" in done.stderr
