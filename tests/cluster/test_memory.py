"""The memory that the profile promises to fit in, counted on the running platform."""

from collections.abc import Callable

import pytest
from support.memory import resident_mib
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

CLUSTER_MIB_MAX = 900
TINY_MIB_MAX = 4 * 1024
_SETTLED_WITHIN_S = 60


def test_the_tiny_profile_fits_its_budget(platform: Platform, tell: Callable[[str], None]) -> None:
    """The cluster itself, and all of it together."""
    wait_until(platform.all_nodes_ready, _SETTLED_WITHIN_S, "all nodes are Ready")
    found = resident_mib()
    tell(f"memory of four nodes, MiB: {found}, {sum(found.values())} in all")
    assert found["pods"] > 0
    assert found["daemons"] <= CLUSTER_MIB_MAX
    assert sum(found.values()) <= TINY_MIB_MAX
