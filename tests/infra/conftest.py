"""The program, run once for all tests of this folder, and all objects that come of it."""

import pytest
from support import objects, program
from support.charts import Manifest
from support.program import Recorder


@pytest.fixture(scope="session")
def recorder() -> Recorder:
    """What the program registers for the stack `tiny`."""
    return program.run(program.configuration())


@pytest.fixture(scope="session")
def everything(recorder: Recorder) -> list[Manifest]:
    """What then stands in the cluster: the program's objects, its charts' and the operator's."""
    return objects.everything(recorder)
