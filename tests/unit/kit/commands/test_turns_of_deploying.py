"""Two that deploy one stack come one after the other."""

import threading
from pathlib import Path

import pytest
from plmkit.commands import up
from plmkit.stack import Workspace, pulumi
from plmkit.state import Places
from plmkit.turns import take_turn
from support.waiting import wait_until


def test_two_never_deploy_one_stack_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would find it free, and the later one end with its lock."""
    workspace = Workspace(Places(tmp_path, tmp_path / "cache", tmp_path / "state"))
    said, done = list[str](), list[str]()

    def deploy(_workspace: Workspace, arguments: list[str]) -> int:
        done.append(arguments[0])
        return 0

    monkeypatch.setattr(pulumi, "run_quietly", deploy)
    monkeypatch.setattr(up, "is_interactive", lambda: False)
    monkeypatch.setattr(up, "say", said.append)
    other = threading.Thread(target=up.deploy, args=(workspace,))
    with take_turn(workspace.turn, lambda: None):
        other.start()
        wait_until(lambda: bool(said or done), 20, "it waits, or deploys")
        assert done == []
    other.join(20)
    assert said == ["waiting: another plm is deploying the stack"]
    assert done == ["up"]
