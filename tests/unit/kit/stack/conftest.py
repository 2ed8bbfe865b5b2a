"""pulumi on paper, and a place for a stack that is not made yet."""

from pathlib import Path

import pytest
from plmkit.stack import Workspace
from plmkit.state import Places
from support.paper_pulumi import PaperPulumi, put_pulumi
from support.postgres import ROOT


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PaperPulumi:
    made = put_pulumi(tmp_path / "pulumi")
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PLM_CONTEXT", raising=False)
    return made


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Places(ROOT, tmp_path / "cache", tmp_path / "state"))
