"""The memory that everything takes with the 50-node mesh, after it has paid."""

from collections.abc import Callable, Sequence

import pytest
from support.memory import resident_mib

pytestmark = pytest.mark.cluster

FIFTY_MIB_MAX = 6 * 1024


def test_the_larger_mesh_fits_its_budget(
    mesh50: Sequence[str], tell: Callable[[str], None]
) -> None:
    found = resident_mib()
    tell(f"memory with {len(mesh50)} nodes more, MiB: {found}, {sum(found.values())} in all")
    assert found["pods"] > 0
    assert sum(found.values()) <= FIFTY_MIB_MAX
