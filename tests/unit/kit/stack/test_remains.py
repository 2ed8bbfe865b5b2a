"""What a killed pulumi left: locks of the dead go, those of the living are waited for, unfinished work is known."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import KitError
from plmkit.stack import Workspace, remains
from plmkit.state import Places
from support.programs import put

NOBODY = 2**22 + 1  # above the largest pid there is


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Places(tmp_path, tmp_path / "cache", tmp_path / "state"))


def lock(workspace: Workspace, pid: int, *, host: str = "", stack: str = "tiny") -> Path:
    """As Pulumi 3.259 writes it."""
    folder = workspace.backend / ".pulumi" / "locks" / "organization" / "plm" / stack
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{pid}-1c2d.json"
    holder = {"pid": pid, "username": "me", "hostname": host or socket.gethostname()}
    file.write_text(json.dumps({**holder, "timestamp": "2026-01-02T03:04:05.678+01:00"}))
    file.with_name(f"{file.name}.attrs").write_text("{}")
    return file


def remember(workspace: Workspace, latest: dict[str, Any] | None) -> None:
    folder = workspace.backend / ".pulumi" / "stacks" / "plm"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = {"stack": "organization/plm/tiny", "latest": latest}
    (folder / "tiny.json").write_text(json.dumps({"version": 3, "checkpoint": checkpoint}))


@pytest.fixture
def living(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program of that name, until its input ends."""
    program = put(tmp_path, "pulumi", "read -r _")
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        yield process


def test_a_lock_of_the_dead_is_removed_and_said(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lock(workspace, NOBODY)
    remains.free_stack(workspace)
    assert list(file.parent.iterdir()) == []
    assert f"pulumi (process {NOBODY}) was killed at its work" in capsys.readouterr().err


def test_a_number_that_is_another_program_s_by_now_holds_nothing(workspace: Workspace) -> None:
    file = lock(workspace, 1)
    remains.free_stack(workspace)
    assert not file.exists()


def test_a_zombie_holds_nothing(
    workspace: Workspace, living: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: pytest.fail("it waits"))
    file = lock(workspace, living.pid)
    assert living.stdin is not None
    living.stdin.close()  # it ends, and nobody has asked how
    os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)
    remains.free_stack(workspace)
    assert not file.exists()


def test_a_living_one_is_waited_for_and_its_lock_is_left_alone(
    workspace: Workspace,
    living: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = lock(workspace, living.pid)
    looked = []

    def unlock_at_the_third(_seconds: float) -> None:
        looked.append(file.exists())
        if len(looked) == 3:
            file.unlink()

    monkeypatch.setattr(time, "sleep", unlock_at_the_third)
    remains.free_stack(workspace)
    assert looked == [True, True, True]
    said = f"waiting: pulumi (process {living.pid}) is at the stack\n"
    assert capsys.readouterr().err == said, "once"


def test_the_waiting_has_an_end(
    workspace: Workspace, living: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(remains, "_WAIT_S_MAX", 0.1)
    lock(workspace, living.pid)
    with pytest.raises(KitError, match=f"process {living.pid}") as refused:
        remains.free_stack(workspace)
    assert refused.value.cure == f"kill {living.pid}"


def test_locks_of_other_machines_and_other_stacks_are_not_ours_to_judge(
    workspace: Workspace,
) -> None:
    elsewhere = lock(workspace, NOBODY, host="another.example")
    other = lock(workspace, NOBODY, stack="tiny-prod")
    remains.free_stack(workspace)
    assert elsewhere.exists()
    assert other.exists()


def test_what_cannot_be_read_is_left_to_pulumi(workspace: Workspace) -> None:
    file = lock(workspace, NOBODY)
    file.write_text("{")
    remains.free_stack(workspace)
    assert file.exists()


@pytest.mark.parametrize(
    ("latest", "unfinished"),
    [
        (None, False),
        ({"resources": []}, False),
        ({"pending_operations": []}, False),
        ({"pending_operations": [{"type": "creating", "resource": {}}]}, True),
    ],
)
def test_work_whose_end_nobody_saw_is_known(
    workspace: Workspace, latest: dict[str, Any] | None, unfinished: bool
) -> None:
    assert not remains.has_unfinished_work(workspace), "where nothing was ever deployed"
    remember(workspace, latest)
    assert remains.has_unfinished_work(workspace) is unfinished
    elsewhere = Workspace(workspace.places, "prod")
    assert not remains.has_unfinished_work(elsewhere)
