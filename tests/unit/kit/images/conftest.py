"""The programs that build images, on paper, and an empty store for what they make."""

from pathlib import Path

import pytest
from plmkit.images.buildah import Buildah
from support.paper_builder import PaperBuilder, put_builder


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PaperBuilder:
    made = put_builder(tmp_path / "builder")
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def storage(tmp_path: Path) -> Buildah:
    made = Buildah(tmp_path / "storage")
    made.prepare()
    return made
