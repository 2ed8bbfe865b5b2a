"""`plm logs` as a process, with a kubectl that says what it was asked."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

KUBECTL = """#!/bin/sh
case "$*" in
*" get pods "*) cat "$PLM_STATE_DIR/pods" ;;
*" get "*) echo '{"items": [
  {"kind": "Job", "metadata": {"name": "migrate-1", "labels": {"app.kubernetes.io/name": "migrate"}}},
  {"kind": "Job", "metadata": {"name": "migrate-2", "labels": {"app.kubernetes.io/name": "migrate"}}},
  {"kind": "Deployment", "metadata": {"name": "gateway"}},
  {"kind": "StatefulSet", "metadata": {"name": "pg"}},
  {"kind": "Deployment", "metadata": {"name": "plm-operator"}},
  {"kind": "Deployment", "metadata": {"name": "node-b"}}]}' ;;
*--tail=9*) printf '[pod/a-1/app] pr\\351t 10 %%\\r20 %%\\nno prefix: [pod/x] at all\\n[pod/a-1/app] \\n\\n' ;;
*) echo "$*" > "$PLM_STATE_DIR/asked"
   echo '[pod/gateway-1/gateway] {"message": "Closed an attempt"}'
   echo '[pod/gateway-2/gateway] a line] with / and ['
   case "$*" in *--tail=7*) echo $$ > "$PLM_STATE_DIR/pid"; exec sleep 60 ;; esac
   exit "${LOGS_EXIT:-0}" ;;
esac
"""

Plm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    binary = tmp_path / "tools" / "bin" / "kubectl"
    binary.parent.mkdir(parents=True)
    binary.write_text(KUBECTL)
    binary.chmod(0o755)
    (tmp_path / "kubeconfig").touch()
    return {**os.environ, "PLM_CACHE_DIR": str(tmp_path), "PLM_STATE_DIR": str(tmp_path)}


@pytest.fixture
def plm_logs(environment: Mapping[str, str]) -> Plm:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "plmkit", "logs", *arguments],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("gateway", "deployment/gateway"),
        ("pg", "statefulset/pg"),
        ("B", "deployment/node-b"),
        ("operator", "deployment/plm-operator"),
        ("plm-operator", "deployment/plm-operator"),
    ],
)
def test_a_name_is_a_service_a_store_or_a_node(
    plm_logs: Plm, tmp_path: Path, name: str, target: str
) -> None:
    done = plm_logs(name, "-f", "--previous")
    assert done.returncode == 0, done.stderr
    assert "Closed an attempt" in done.stdout
    asked = (tmp_path / "asked").read_text()
    assert f" logs {target} --all-pods " in asked
    assert "--follow --previous" in asked


def pod_of_job(name: str, of: str, created: str) -> dict[str, Any]:
    labels = {"batch.kubernetes.io/job-name": of}
    return {"metadata": {"name": name, "labels": labels, "creationTimestamp": created}}


def test_of_a_job_the_newest_pod_is_meant(plm_logs: Plm, tmp_path: Path) -> None:
    pods = [pod_of_job("migrate-2-y", "migrate-2", "2026-01-02T09:00:00Z")]
    pods.append(pod_of_job("migrate-1-x", "migrate-1", "2026-01-01T10:00:00Z"))
    (tmp_path / "pods").write_text(json.dumps({"items": pods}))
    assert plm_logs("migrate").returncode == 0
    assert " logs pod/migrate-2-y --all-containers " in (tmp_path / "asked").read_text()


def test_a_job_whose_pods_are_gone_says_so_and_how_to_see_it_again(
    plm_logs: Plm, tmp_path: Path
) -> None:
    (tmp_path / "pods").write_text('{"items": []}')
    done = plm_logs("migrate")
    assert done.returncode == 1
    assert "no pod of job migrate-2 is left, and its log is gone" in done.stderr
    assert "try: kubectl delete job migrate-2 -n plm; plm up;" in done.stderr
    assert not (tmp_path / "asked").exists()


def test_an_unknown_name_is_wrong_usage_and_the_known_ones_are_told(plm_logs: Plm) -> None:
    done = plm_logs("gatevay")
    assert done.returncode == 2
    assert "there are: b, gateway, migrate, operator, pg" in done.stderr


def test_json_is_an_object_for_each_line(plm_logs: Plm) -> None:
    done = plm_logs("gateway", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "pod": "gateway-1",
            "container": "gateway",
            "line": '{"message": "Closed an attempt"}',
        },
        {"pod": "gateway-2", "container": "gateway", "line": "a line] with / and ["},
    ]


def test_any_bytes_make_an_object_for_each_line(plm_logs: Plm) -> None:
    """Also a line that kubectl put no name before, a line with nothing in it, and one that draws over itself."""
    done = plm_logs("gateway", "--tail", "9", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["pod"], each["line"]) for each in found] == [
        ("a-1", "pr\ufffdt 10 %\r20 %"),
        ("", "no prefix: [pod/x] at all"),
        ("a-1", ""),
        ("", ""),
    ]


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_kubectl_that_fails_is_a_failed_check(plm_logs: Plm, output: str) -> None:
    assert plm_logs("gateway", "-o", output, LOGS_EXIT="1").returncode == 1


@pytest.mark.parametrize("output", ["text", "json"])
def test_whoever_stops_following_leaves_no_kubectl_behind(
    environment: Mapping[str, str], tmp_path: Path, output: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "plmkit", "logs", "gateway", "-f", "--tail", "7", "-o", output],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(2)]
            pid = tmp_path / "pid"
            wait_until(
                lambda: pid.exists() and pid.read_text().endswith("\n"), 30, "kubectl follows"
            )
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert all(line.endswith("\n") for line in said)
    assert rest == ""
    wait_until(lambda: not Path("/proc", pid.read_text().strip()).exists(), 10, "kubectl ended")
