"""What the images install is what the lock says: the committed files equal a fresh `make generate`."""

import shlex
import subprocess
from pathlib import Path

import pytest
from support.makefile import ROOT, recipe_of


@pytest.mark.parametrize("image", ["services", "operator"])
def test_requirements_equal_a_fresh_export(image: str, tmp_path: Path) -> None:
    target = f"images/{image}/requirements.txt"
    [export] = [line for line in recipe_of("generate").splitlines() if line.endswith(target)]
    fresh = tmp_path / "requirements.txt"
    subprocess.run([*shlex.split(export)[:-1], str(fresh)], cwd=ROOT, check=True)
    assert (ROOT / target).read_text() == fresh.read_text(), "run: make generate"
