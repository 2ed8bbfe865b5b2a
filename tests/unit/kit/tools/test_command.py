"""`plm tools` as a process, with a compiler and a package database that the test wrote."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.programs import GO, put
from support.waiting import wait_until

DPKG = 'shift 2; for package; do echo "$package ii "; done'


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    programs = tmp_path / "programs"
    put(programs, "go", GO)
    put(programs, "dpkg-query", DPKG)
    module = tmp_path / "module" / "python" / "cmd"
    module.mkdir(parents=True)
    (module / "pulumi-language-python-exec").write_text("#!/bin/sh\n")
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PLM_CACHE_DIR": str(tmp_path / "cache"),
        "PLM_TEST_MODULE": str(tmp_path / "module"),
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "plmkit", "tools", *arguments]


def test_all_tools_are_built_once_and_then_kept(environment: dict[str, str]) -> None:
    first = subprocess.run(command("-o", "json"), env=environment, check=True, capture_output=True)
    again = subprocess.run(command("-o", "json"), env=environment, check=True, capture_output=True)
    assert [set(_sources(done.stdout)) for done in (first, again)] == [{"built"}, {"kept"}]
    assert b"building kubernetes (1 of " in first.stderr
    assert b"building" not in again.stderr
    present = {path.name for path in (Path(environment["PLM_CACHE_DIR"]) / "tools/bin").iterdir()}
    assert {"kubelet", "etcd", "pulumi", "pulumi-language-python-exec", "plm-netpol"} <= present


def test_who_ends_plm_ends_the_compiler_and_leaves_no_half_build(
    environment: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "compiler.pid"
    put(tmp_path / "programs", "go", GO.replace("build)", f"build) echo $$ > {started}; sleep 60"))
    with subprocess.Popen(command(), env=environment, stderr=subprocess.PIPE) as process:
        wait_until(
            lambda: process.poll() is not None or _has_text(started), 20, "the compiler runs"
        )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert list((tmp_path / "cache" / "tools").glob("*/*")) == []


def _has_text(path: Path) -> bool:
    return path.exists() and path.read_text() != ""


def test_two_at_once_build_once(environment: dict[str, str], tmp_path: Path) -> None:
    put(tmp_path / "programs", "go", GO.replace("build)", "build) sleep 0.1"))
    with _started(environment) as first, _started(environment) as second:
        heard = [process.communicate(timeout=60) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert sorted(set(_sources(out)).pop() for out, _ in heard) == ["built", "kept"]
    assert sum(b"waiting: another plm is at the tools" in error for _, error in heard) == 1


def _sources(report: bytes) -> list[str]:
    """Where the tools came from, those apart that this machine has on PATH."""
    found = [str(row["source"]) for row in json.loads(report)["families"]]
    return [source for source in found if not source.startswith("/")]


def _started(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("-o", "json"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
