"""Where another cluster is meant, what one is told to type next says so: else it would be the embedded one's."""

import json
from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.kubectl import cures_for
from support.kit_process import Kit
from support.programs import put


def told(cure: str, context: str | None) -> str:
    with pytest.raises(KitError) as raised, cures_for(context):
        raise KitError("no answer", cure)
    return raised.value.cure


@pytest.mark.parametrize("cure", ["plm status (what runs)", "kubectl get meshnodes -n plm"])
def test_a_command_is_told_with_its_context(cure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLM_CONTEXT", raising=False)
    assert told(cure, "prod") == f"{cure}; there with --context prod"
    assert told(cure, "team x") == f"{cure}; there with --context 'team x'"
    assert told(cure, None) == cure
    monkeypatch.setenv("PLM_CONTEXT", "stage")
    assert told(cure, None) == f"{cure}; there with --context stage", "kubectl reads no variable"


@pytest.mark.parametrize("cure", ["plm up --context prod", "name two different nodes"])
def test_what_is_no_command_or_has_its_context_stays_as_it_is(cure: str) -> None:
    assert told(cure, "prod") == cure


@pytest.mark.parametrize("command", ["pay a d 1.00 USD", "verify ledger", "demo"])
def test_commands_about_another_cluster_tell_its_cures(tmp_path: Path, command: str) -> None:
    kit = Kit(tmp_path)
    put(kit.programs, "kubectl", "")
    kit.state.mkdir()
    for name in ("credentials.json", "credentials.tiny-prod.json"):
        content = {"apiUrl": "https://edge", "apiKey": "secret", "caFile": str(tmp_path / "none")}
        (kit.state / name).write_text(json.dumps(content))
    done = kit.call(*command.split(), "--context", "prod")
    assert done.returncode == 3
    assert done.stderr.endswith("(write its caBundle into that file); there with --context prod\n")


def test_logs_of_nobody_there_tell_to_look_there(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    put(kit.programs, "kubectl", """echo '{"items": []}'""")
    done = kit.call("logs", "gateway", "--context", "prod")
    assert done.stderr.endswith("try: plm status; there with --context prod\n")
