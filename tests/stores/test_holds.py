"""Debian's own scripts, asked on a root of the test's own: what is held is not enabled, and gets no database."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from plmkit.tools.holds import HOLDS, Hold

pytestmark = pytest.mark.stores

CONTAINERD = """[Unit]
Description=a daemon
[Service]
ExecStart=/usr/bin/containerd
[Install]
WantedBy=multi-user.target
"""
CREATECLUSTER = Path("/usr/share/postgresql-common/createcluster.conf")


def named(part: str) -> Hold:
    [found] = [hold for hold in HOLDS if part in str(hold.path)]
    return found


def put(hold: Hold, root: Path) -> None:
    path = root / hold.path.relative_to("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(hold.text)


def enable(root: Path) -> list[str]:
    """As a package's script does; what starts at the next boot."""
    subprocess.run(
        ["deb-systemd-helper", "enable", "a-daemon.service"],
        env={**os.environ, "DPKG_ROOT": str(root), "DPKG_MAINTSCRIPT_PACKAGE": "a-daemon"},
        check=True,
        capture_output=True,
    )
    return [path.name for path in root.glob("etc/systemd/system/*/*")]


def test_a_unit_is_not_enabled_while_it_is_held_nor_by_a_later_upgrade(tmp_path: Path) -> None:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        pytest.skip("no systemd here, so nothing that it could start")
    for root in (tmp_path / "held", tmp_path / "free"):
        units = root / "usr" / "lib" / "systemd" / "system"
        units.mkdir(parents=True)
        (root / "lib").symlink_to("usr/lib")
        (units / "a-daemon.service").write_text(CONTAINERD)
        # The helper looks there whether this root has systemd.
        (root / "usr" / "bin").mkdir()
        (root / "usr" / "bin" / "systemctl").symlink_to(systemctl)
    preset = named("preset")
    put(preset, tmp_path / "held")
    assert enable(tmp_path / "held") == []
    (tmp_path / "held" / preset.path.relative_to("/")).unlink()
    assert enable(tmp_path / "held") == []
    assert enable(tmp_path / "free") == ["a-daemon.service"], "it would be enabled without"


def test_no_database_is_made_while_it_is_held(tmp_path: Path) -> None:
    """The question that Debian's package asks before it makes one."""
    folder = tmp_path / "etc" / "postgresql-common"
    folder.mkdir(parents=True)
    configuration = folder / "createcluster.conf"
    text = CREATECLUSTER.read_text()
    assert "/etc/postgresql-common/createcluster.d" in text
    configuration.write_text(text.replace("/etc/postgresql-common", str(folder)))
    question = ["pg_conftool", str(configuration), "show", "-bs", "create_main_cluster"]

    def ask() -> str:
        done = subprocess.run(question, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    assert ask() != "off"
    put(named("createcluster.d"), tmp_path)
    assert ask() == "off"
