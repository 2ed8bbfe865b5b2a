"""One platform for all cluster tests: brought up as a person does it, in a state folder of its own, purged at the end.

A platform that cannot start fails the run. Nothing here skips.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from plmkit import mesh_values
from support.machine import Snapshot, machine_snapshot
from support.platform import Platform, places_for_tests
from support.waiting import wait_until

MESH50_READY_S = 300

# The fifty nodes come with test_kills and go with the pages' last command; what takes the platform apart comes last,
# and after it what wants the machine for itself.
_LATE = (
    "test_kills",
    "test_payment_file",
    "test_memory_of_fifty",
    "test_documented_commands",
    "test_tamper",
    "test_stack",
    "test_down",
    "test_other_cluster",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the order of files, but for those that burden the platform and those that end it."""
    items.sort(key=lambda item: _LATE.index(item.path.stem) if item.path.stem in _LATE else -1)


@pytest.fixture(scope="session")
def machine_before() -> Snapshot:
    """The machine before the first `plm up`: no cluster runs, neither ours nor another installation's."""
    made = Platform(places_for_tests())
    # What an interrupted run has left is no state to test on.
    made.plm("down", "--purge", "--yes")
    made.stop_any_other()
    return machine_snapshot()


@pytest.fixture(scope="session")
def platform(machine_before: Snapshot) -> Iterator[Platform]:
    """The running platform."""
    made = Platform(places_for_tests())
    done = made.plm("up", timeout_s=3_600)
    if done.returncode != 0:
        pytest.fail(
            f"plm up ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    yield made
    made.plm("down", "--purge", "--yes")


@pytest.fixture(scope="session")
def mesh50(platform: Platform) -> list[str]:
    """The nodes of the 50-node mesh, a release of its own beside the demo's."""
    platform.install_mesh50()
    wait_until(platform.all_nodes_ready, MESH50_READY_S, "50 nodes are Ready")
    values = yaml.safe_load(mesh_values.PATH.read_text())
    return sorted(name for name, spec in values["nodes"].items() if spec)


@pytest.fixture
def history_path(tmp_path: Path) -> Path:
    """Where the history of this test is written: outside the system under test."""
    return tmp_path / "history.jsonl"
