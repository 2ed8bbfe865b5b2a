"""The cluster's own programs in Go, enforcer of policies and provisioner of volumes, against their own tests."""

import subprocess

import pytest
from plmkit.tools import go
from plmkit.tools.recipes import FAMILIES
from support.postgres import ROOT

pytestmark = pytest.mark.stores

[KUBERNETES] = [family for family in FAMILIES if family.name == "kubernetes"]


@pytest.mark.parametrize("package", ["netpol", "localpath"])
def test_it_passes_its_own_tests(package: str) -> None:
    """Compiled as `plm tools` compiles it, so that nothing is compiled twice."""
    done = subprocess.run(
        ["go", "test", "-v", "-tags", KUBERNETES.tags, f"./{package}"],
        cwd=ROOT / "toolchain" / "kubernetes",
        env=go.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--- PASS: Test" in done.stdout
