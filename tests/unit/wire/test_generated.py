"""The stubs are what the protocol says: the committed files equal a fresh `make generate`."""

import subprocess
from pathlib import Path

import pytest
from support.makefile import ROOT, recipe_of

WIRE = Path("plm", "wire")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Makefile's own command writes."""
    folder = Path(tmp_path_factory.mktemp("fresh"))
    [command] = [line for line in recipe_of("generate").splitlines() if "protoc" in line]
    subprocess.run(command.replace("_out=.", f"_out={folder}"), shell=True, cwd=ROOT, check=True)  # noqa: S602 - ours
    return folder / WIRE


@pytest.mark.parametrize("name", ["plm_pb2.py", "plm_pb2.pyi", "plm_pb2_grpc.py"])
def test_committed_stubs_equal_a_fresh_generation(fresh: Path, name: str) -> None:
    committed = ROOT / "services" / WIRE / name
    assert committed.read_text() == (fresh / name).read_text(), "run: make generate"


def test_nothing_generated_is_left_out(fresh: Path) -> None:
    """A new kind of output has to be compared too."""
    names = {path.name for path in fresh.iterdir()}
    assert names == {"plm_pb2.py", "plm_pb2.pyi", "plm_pb2_grpc.py"}
