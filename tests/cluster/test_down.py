"""After everything: purge leaves the machine as it was before the first `plm up`."""

from collections.abc import Callable

import pytest
from support.machine import Snapshot, left_behind, machine_snapshot
from support.platform import Platform

pytestmark = pytest.mark.cluster


def test_purge_wants_a_yes(platform: Platform) -> None:
    """Nobody can be asked here, so nothing is removed."""
    done = platform.plm("down", "--purge")
    assert done.returncode == 2, done.stderr
    assert platform.places.state.exists()


def test_purge_leaves_nothing(
    machine_before: Snapshot, platform: Platform, tell: Callable[[str], None]
) -> None:
    purged = platform.plm_json("down", "--purge", "--yes")
    tell(f"plm down --purge {purged['seconds']} s")
    assert left_behind(machine_before, machine_snapshot()) == {}
    assert not platform.places.state.exists()
