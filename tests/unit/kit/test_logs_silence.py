"""`plm logs` ends where nobody answers, goes on where it follows, and hands on whatever a container says."""

import json
import subprocess
from pathlib import Path

import pytest
from plmkit.commands import logs
from plmkit.console import ExitCode
from support.kit_process import PLM, Kit
from support.programs import put
from support.waiting import wait_until

OBJECTS = '{"items": [{"kind": "Deployment", "metadata": {"name": "gateway"}}]}'
LOGS = ("logs", "gateway")


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    made = Kit(tmp_path)
    made.state.mkdir()
    (made.state / "kubeconfig").touch()
    return made


def say(kit: Kit, script: str) -> None:
    """What kubectl does when it is asked for a log."""
    asked = f"case \"$*\" in *' get '*) echo '{OBJECTS}'; exit ;; esac"
    put(kit.cache / "tools" / "bin", "kubectl", f"echo $$ > {kit.folder}/pid\n{asked}\n{script}")


def is_gone(kit: Kit) -> bool:
    return not Path("/proc", (kit.folder / "pid").read_text().strip()).exists()


@pytest.mark.parametrize("begins", ["", "echo '[pod/a/app] hello'; "])
def test_a_cluster_that_falls_silent_is_given_up_and_told(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    """As a bare hang would be for ever; and what was said before is not lost."""
    monkeypatch.setattr(logs, "_SILENCE_S_MAX", 3.0)
    say(kit, f"{begins}exec sleep 60")
    done = kit.call(*LOGS, "-o", "json", "--context", "prod")
    assert done.returncode == ExitCode.UNFIT_ENVIRONMENT
    assert done.stderr == (
        "plm: kubectl logs has said nothing for 3 s: the cluster's API server, or the node of these"
        " pods, does not answer\n  try: plm status; there with --context prod\n"
    )
    assert len(done.stdout.splitlines()) == (1 if begins else 0)
    wait_until(lambda: is_gone(kit), 10, "kubectl ended")


def test_whoever_follows_may_wait_for_ever(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_SILENCE_S_MAX", 0.1)
    say(kit, "sleep 0.5; echo '[pod/a/app] late'")
    done = kit.call(*LOGS, "-o", "json", "-f")
    assert done.returncode == ExitCode.GOOD, done.stderr
    assert json.loads(done.stdout)["line"] == "late"
    assert kit.call(*LOGS, "-o", "json").returncode == ExitCode.UNFIT_ENVIRONMENT


def test_a_log_that_takes_long_is_not_cut_off(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on silence, not on the whole."""
    monkeypatch.setattr(logs, "_SILENCE_S_MAX", 2.0)
    lines = 25
    say(kit, f'for n in $(seq {lines}); do echo "[pod/a/app] $n"; sleep 0.1; done')
    done = kit.call(*LOGS, "-o", "json")
    assert done.returncode == ExitCode.GOOD, done.stderr
    assert len(done.stdout.splitlines()) == lines


def run(kit: Kit, script: str) -> subprocess.CompletedProcess[bytes]:
    """In a shell, where `"$@"` is the whole command."""
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", *PLM, *LOGS],
        env=kit.environment,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_text_is_handed_on_byte_by_byte(kit: Kit) -> None:
    """Letters of any encoding, bars that draw over themselves, and an end without an end of line."""
    say(kit, "printf '[pod/a/app] pr\\351t 10 %%\\r20 %%\\n\\n\\377\\000end'")
    done = run(kit, '"$@"')
    assert done.returncode == ExitCode.GOOD, done.stderr
    assert done.stdout == b"[pod/a/app] pr\xe9t 10 %\r20 %\n\n\xff\x00end"


@pytest.mark.parametrize("output", ["text", "json"])
def test_lines_longer_than_what_is_read_at_once_stay_whole(kit: Kit, output: str) -> None:
    long = 300_000
    say(kit, f"printf '[pod/a/app] '; head -c {long} /dev/zero | tr '\\0' x; echo; echo end")
    first, last = run(kit, f'"$@" -o {output}').stdout.decode().splitlines()
    assert first.count("x") == long
    assert "end" in last


def test_who_reads_no_further_ends_it_in_silence(kit: Kit) -> None:
    say(kit, "yes '[pod/a/app] again'")
    done = run(kit, '"$@" | head -1')
    assert done.stdout == b"[pod/a/app] again\n"
    assert b"Traceback" not in done.stderr
    assert b"plm:" not in done.stderr
    wait_until(lambda: is_gone(kit), 10, "kubectl ended")


def test_output_that_finds_no_room_is_told(kit: Kit) -> None:
    say(kit, "echo '[pod/a/app] hello'")
    done = run(kit, '"$@" > /dev/full')
    assert done.returncode == ExitCode.UNFIT_ENVIRONMENT
    assert b"plm: the output cannot be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
