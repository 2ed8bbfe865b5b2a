"""Our own programs in Go against their own tests: enforcer of policies, provisioner of volumes, the edge's Caddy."""

import subprocess

import pytest
from plmkit.tools import go
from plmkit.tools.recipes import FAMILIES
from support.postgres import ROOT

pytestmark = pytest.mark.stores

_TAGS = {family.name: family.tags for family in FAMILIES}


@pytest.mark.parametrize(
    ("family", "package"),
    [("kubernetes", "netpol"), ("kubernetes", "localpath"), ("caddy", ".")],
)
def test_it_passes_its_own_tests(family: str, package: str) -> None:
    """Compiled as `plm tools` compiles it, so that nothing is compiled twice."""
    done = subprocess.run(
        ["go", "test", "-v", "-tags", _TAGS[family], f"./{package}"],
        cwd=ROOT / "toolchain" / family,
        env=go.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--- PASS: Test" in done.stdout
