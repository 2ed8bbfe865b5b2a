"""The operator on a stage: one API server for all tests of this folder that ask for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stage import Replica, Stage, open_stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """API server, ledger and nodes."""
    with open_stage(Path(tmp_path_factory.mktemp("stage"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def operator(stage: Stage) -> Iterator[Replica]:
    """One running operator."""
    replica = stage.operator()
    replica.start()
    replica.wait_ready()
    yield replica
    replica.stop()
    stage.clear()
