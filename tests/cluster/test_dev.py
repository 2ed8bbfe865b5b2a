"""`plm dev`: a file of a service is saved, and seconds later it runs in a pod that serves."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

RUNS_WITHIN_S = 90
SAVED = "saved-by-the-test"
FILE = Path("services/plm/gateway/__init__.py")
# What `plm dev` and the images are made of; the checkout itself is not touched.
PARTS = (
    "kit", "services", "operator", "infra", "images", "migrations", "toolchain", "charts",
    "Pulumi.yaml", "Caddyfile", "pyproject.toml", "uv.lock",
)  # fmt: skip


@pytest.fixture
def copied(platform: Platform, tmp_path: Path) -> Iterator[Path]:
    """A checkout to edit. What was rolled out of it is taken back."""
    for part in PARTS:
        source, target = platform.places.checkout / part, tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    yield tmp_path
    done = platform.plm("up")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: is_settled(platform), RUNS_WITHIN_S, "no pod comes or goes any more")
    assert not any(SAVED in says(platform, name(pod)) for pod in gateways(platform))


@contextmanager
def watching(platform: Platform, checkout: Path) -> Iterator[None]:
    """`plm dev` of that checkout, watching, until Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-m", "plmkit", "dev"],
        env={**platform.environment, "PYTHONPATH": str(checkout / "kit")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("watching"), first + process.stderr.read()
        try:
            yield
        finally:
            os.kill(process.pid, signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether it serves, and is not on its way out."""
    conditions = pod["status"].get("conditions", ())
    is_true = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_true and "deletionTimestamp" not in pod["metadata"]


def is_settled(platform: Platform) -> bool:
    """Whether every pod that is to run serves, and none is on its way out."""
    pods = platform.kubectl.get("pods", "--field-selector", "status.phase!=Succeeded")
    return all(is_ready(pod) for pod in pods) and platform.all_nodes_ready()


def name(pod: Mapping[str, Any]) -> str:
    """A pod's name."""
    return str(pod["metadata"]["name"])


def says(platform: Platform, pod: str) -> str:
    """What the file says inside a pod."""
    command = ("exec", pod, "--", "python", "-c", "import plm.gateway as it; print(it.__doc__)")
    done = subprocess.run(
        platform.kubectl.command(*command), capture_output=True, text=True, check=False
    )
    return done.stdout


def test_a_saved_file_soon_runs_in_a_ready_pod(
    platform: Platform, copied: Path, tell: Callable[[str], None]
) -> None:
    before = {name(pod) for pod in gateways(platform)}
    assert before

    def runs() -> bool:
        fresh = [pod for pod in gateways(platform) if is_ready(pod)]
        names = {name(pod) for pod in fresh} - before
        return any(SAVED in says(platform, each) for each in names)

    with watching(platform, copied):
        (copied / FILE).write_text(f'"""{SAVED}"""\n')
        began = time.monotonic()
        wait_until(runs, RUNS_WITHIN_S, "the saved file runs in a ready pod")
        tell(f"plm dev: in a ready pod {time.monotonic() - began:.1f} s after saving")
        wait_until(platform.all_nodes_ready, RUNS_WITHIN_S, "all nodes are Ready again")


def gateways(platform: Platform) -> list[Mapping[str, Any]]:
    """The gateway's pods."""
    return platform.kubectl.get("pods", "--selector", "app.kubernetes.io/name=gateway")
