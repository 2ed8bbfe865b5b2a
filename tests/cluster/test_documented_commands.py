"""Every command of the pages, in their order, typed into a shell: it ends well, and says what the page promises.

What another test runs instead is listed, with the reason, in tests/support/documented_commands.py.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from support.documentation import Command
from support.documented_commands import (
    ENDLESS,
    PAYMENTS,
    SAYS,
    documented,
    run_as_they_stand,
)
from support.payments import HEADER
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

ENDS_WITHIN_S = 900
SHOWS_WITHIN_S = 180
READY_WITHIN_S = 120
INTERRUPTED = 130
# Of make and of whoever started the tests: a person's shell has none of them.
_NOT_OF_A_SHELL = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PLM_CONTEXT", "VIRTUAL_ENV")


@pytest.fixture(scope="module")
def folder(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as a person sees it, with a file of theirs in it; the real one stays clean."""
    made = tmp_path_factory.mktemp("checkout")
    for path in platform.places.checkout.iterdir():
        if not path.name.startswith(".") or path.name == ".venv":
            (made / path.name).symlink_to(path)
    payments = [f"sample-{number},a,d,{number}.50,USD" for number in range(1, PAYMENTS + 1)]
    lines = [",".join(HEADER), *payments]
    (made / "payments.csv").write_text("\n".join(lines) + "\n")
    return made


@pytest.fixture(scope="module")
def environment(platform: Platform) -> Mapping[str, str]:
    """A fresh shell's, with plm on PATH. kubectl finds a cluster only where the page says how."""
    found = {
        name: value for name, value in platform.environment.items() if name not in _NOT_OF_A_SHELL
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**found, "PATH": path, "KUBECONFIG": os.devnull}


def start(
    command: Command, folder: Path, environment: Mapping[str, str], *, prefix: str = ""
) -> subprocess.Popen[str]:
    """A shell that has what the block set up, and types the command."""
    script = "\n".join(["set -eu -o pipefail", *command.setup, prefix + command.text])
    # make may bring .venv up to date: that must be the real one's affair.
    is_make = command.text.startswith("make ")
    return subprocess.Popen(
        ["bash", "-c", script],
        cwd=(folder / "Makefile").resolve().parent if is_make else folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(shell: subprocess.Popen[str]) -> None:
    """Whatever is left of it and of its children."""
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def calm(platform: Platform) -> None:
    """Tests before these kill nodes; the pages speak of a platform that is well."""
    wait_until(platform.all_nodes_ready, READY_WITHIN_S, "all nodes are Ready")


def named(command: Command) -> str:
    return f"{command.page}:{command.line} {command.text}"


def test_followed_logs_go_on_until_they_are_stopped(
    platform: Platform, folder: Path, environment: Mapping[str, str]
) -> None:
    """Each demo closes an attempt, and the gateway tells of it; SIGTERM ends it with the code documented for Ctrl-C."""
    [command] = [each for each in documented() if each.text == ENDLESS]
    shell = start(command, folder, environment, prefix="exec ")
    assert shell.stdout is not None
    give_up = threading.Timer(SHOWS_WITHIN_S, kill, [shell])
    give_up.start()
    try:
        # The first may have come before it began; the second comes while it follows.
        for _ in range(2):
            [report] = platform.plm_json("demo")
            assert any(report["payment"]["paymentId"] in line for line in shell.stdout)
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(timeout=10) == INTERRUPTED
    finally:
        give_up.cancel()
        kill(shell)
        shell.communicate()


@pytest.mark.parametrize("command", run_as_they_stand(), ids=named)
def test_it_ends_well_and_says_what_the_page_says(
    command: Command, folder: Path, environment: Mapping[str, str]
) -> None:
    shell = start(command, folder, environment)
    try:
        said, talk = shell.communicate(timeout=ENDS_WITHIN_S)
    finally:
        kill(shell)
    assert shell.returncode == 0, f"{named(command)}\n{said[-3000:]}\n{talk[-3000:]}"
    assert SAYS.get(command.text, "") in said
    assert "No resources found" not in talk, named(command)


def test_without_the_larger_mesh_its_money_is_still_in_the_books(platform: Platform) -> None:
    """docs/operating.md has it removed: what it says of that holds."""

    def is_gone() -> bool:
        pods = platform.kubectl.get("pods", "-l", "app.kubernetes.io/component=mesh-node")
        return {pod["metadata"]["name"].split("-")[1] for pod in pods} == {"a", "b", "c", "d"}

    wait_until(is_gone, READY_WITHIN_S, "only the demo's nodes run")
    [row] = platform.rows("SELECT sum(posted) AS total FROM accounts WHERE owner = 'hub-1'")
    assert int(row["total"]) > 0
    assert platform.plm_json("verify", "ledger")["ok"]
