"""Pulumi by hand beside `plm up`: nothing to change, no drift; and destroy leaves nothing on the cluster."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster


def pulumi(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pulumi in a shell that has evaluated `plm stack env`, as the README says."""
    prepare = f'eval "$({shlex.quote(sys.executable)} -m plmkit stack env)"'
    command = shlex.join(["pulumi", *arguments, "--non-interactive", "--color", "never"])
    return subprocess.run(
        ["bash", "-c", f"set -eu; {prepare}; exec {command}"],
        cwd=platform.places.checkout,
        env=platform.environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_a_second_up_changes_nothing(platform: Platform, tell: Callable[[str], None]) -> None:
    began = time.monotonic()
    done = pulumi(platform, "up", "--yes", "--skip-preview", "--expect-no-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    tell(f"second pulumi up: no changes, {time.monotonic() - began:.1f} s")


def test_plm_up_again_changes_nothing(platform: Platform, tell: Callable[[str], None]) -> None:
    entries = platform.psql("SELECT max(seq) FROM entries")
    began = time.monotonic()
    done = platform.plm("up")
    assert done.returncode == 0, done.stderr
    tell(f"second plm up: {time.monotonic() - began:.1f} s")
    assert platform.psql("SELECT max(seq) FROM entries") == entries


def test_refresh_finds_no_drift(platform: Platform, tell: Callable[[str], None]) -> None:
    """While the operator has been at work on everything that the tests before this one broke."""
    began = time.monotonic()
    done = pulumi(platform, "refresh", "--yes", "--expect-no-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    tell(f"pulumi refresh: no drift, {time.monotonic() - began:.1f} s")


_KINDS = (
    "namespaces",
    "customresourcedefinitions",
    "clusterroles",
    "clusterrolebindings",
    "persistentvolumes",
    "priorityclasses",
    "validatingwebhookconfigurations",
)


def of_plm(platform: Platform) -> set[str]:
    """What is of plm among the objects that no namespace takes with it."""
    kubectl = platform.kubectl
    command = [kubectl.binary, *kubectl.target, "get", ",".join(_KINDS), "--output=name"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    # plm:netpol and plm:localpath belong to the embedded cluster itself, not to the stack.
    return {
        name
        for name in found
        if ("plm" in name and "/plm:" not in name) or name.startswith("persistentvolume/")
    }


def test_destroy_leaves_nothing(platform: Platform, tell: Callable[[str], None]) -> None:
    assert "namespace/plm" in of_plm(platform)
    began = time.monotonic()
    done = pulumi(platform, "destroy", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    tell(f"pulumi destroy: {time.monotonic() - began:.1f} s")
    wait_until(lambda: not of_plm(platform), 60, "nothing of plm is left on the cluster")
