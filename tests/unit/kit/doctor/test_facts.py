"""The look at a machine: changes nothing, and reads mount tables, routes and memory right."""

import os
import platform
import time
from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.doctor import facts
from plmkit.localcluster import ownership
from plmkit.localcluster.ownership import Ownership
from plmkit.state import Places
from support.programs import put

V1 = """tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0
cgroup /nowhere/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /nowhere/memory cgroup ro,relatime,memory 0 0
cgroup /nowhere/pids cgroup rw,relatime,pids 0 0
"""
ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010011AC 0003 0 0 0 00000000 0 0 0
eth0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0
flannel.1 0003F40A 00000000 0001 0 0 0 00FFFFFF 0 0 0
plmh 006433C6 00000000 0001 0 0 0 FCFFFFFF 0 0 0
* 0000F40A 00000000 0200 0 0 4096 0000FFFF 0 0 0
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(ownership, "RECORD", tmp_path / "run" / "cluster.json")
    return Places(tmp_path, tmp_path / "deep" / "cache", tmp_path / "deep" / "state")


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_looking_makes_nothing(places: Places, tmp_path: Path) -> None:
    before = files(tmp_path)
    found = facts.gather(places)
    assert files(tmp_path) == before
    assert not found.tools_are_built
    assert not found.cluster_runs
    assert found.cache_free_mib > 0
    assert found.is_one_disk
    assert found.is_root == (os.getuid() == 0)


def test_what_is_built_is_seen(places: Places) -> None:
    for path in (
        places.cache / "tools" / "bin" / "kubelet",
        places.cache / "images" / "references.json",
        places.cluster / "containerd" / "x",
    ):
        path.parent.mkdir(parents=True)
        path.touch()
    found = facts.gather(places)
    assert (found.tools_are_built, found.images_are_built, found.cluster_is_filled) == (True,) * 3


def test_our_own_cluster_is_told_from_another_s(places: Places, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    ownership.write(Ownership(str(places.state), {}, namespaces_folder_existed=True))
    ours = facts.gather(places)
    assert (ours.cluster_runs, ours.cluster_owner) == (True, "")
    ownership.write(Ownership("/state/theirs", {}, namespaces_folder_existed=True))
    theirs = facts.gather(places)
    assert (theirs.cluster_runs, theirs.cluster_owner) == (False, "/state/theirs")


def test_a_plain_user_gets_findings_and_no_refusal(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise KitError("the embedded cluster of this machine is root's", "sudo")

    monkeypatch.setattr(ownership, "read", refuse)
    assert facts.gather(places).cluster_owner == ""


def test_the_longest_socket_path_is_measured_in_bytes(places: Places) -> None:
    longer = Places(places.checkout, places.cache, places.state / "ö")
    difference = facts.gather(longer).socket_path_bytes - facts.gather(places).socket_path_bytes
    assert difference == len("/ö".encode())


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 'containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1'", "1.6.20"),
        ("echo 'containerd containerd.io 1.7.27 05044ec0a9a7'", "1.7.27"),
        ("echo 'runc version 1.1.5+ds1'", "1.1.5"),
        ("echo 'what do you mean?'; exit 1", "of no version that it tells"),
    ],
)
def test_programs_are_asked_for_their_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    put(tmp_path, "program", script)
    assert facts._version("program") == version


def test_nobody_waits_for_long_for_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_ANSWER_WITHIN_S", 0.1)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    put(tmp_path, "program", "exec sleep 60")
    began = time.monotonic()
    assert facts._version("program") == "of no version that it tells"
    assert time.monotonic() - began < 30, "it was waited for"


def test_a_program_that_is_not_there_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts._version("containerd") == ""


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "debian 12"),
        ("ID=debian\n", "debian"),
        ('NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="24.04"\n', "ubuntu 24.04"),
    ],
)
def test_the_release_is_what_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, release: str
) -> None:
    file = tmp_path / "os-release"
    file.write_text(text)
    monkeypatch.setattr(platform, "_os_release_cache", None)
    monkeypatch.setattr(platform, "_os_release_candidates", (str(file),))
    assert facts._release() == release


def test_a_system_that_says_nothing_has_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "_os_release_cache", None)
    monkeypatch.setattr(platform, "_os_release_candidates", (str(tmp_path / "nothing"),))
    assert facts._release() == ""


def test_controllers_count_where_one_may_write(tmp_path: Path) -> None:
    assert {"cpu", "pids"} <= facts.controllers(V1)
    assert "memory" not in facts.controllers(V1), "mounted read-only"
    unified = f"cgroup2 {tmp_path} cgroup2 rw,nsdelegate 0 0\n"
    (tmp_path / "cgroup.controllers").write_text("cpu io memory\n")
    assert facts.controllers(unified) == {"cpu", "io", "memory"}
    assert facts.controllers(unified.replace("rw,", "ro,")) == set()


def test_routes_into_our_ranges_by_other_devices_are_found() -> None:
    assert facts.foreign_routes(ROUTES) == ("10.244.0.0/16 by flannel.1",)
    assert facts.foreign_routes(ROUTES.splitlines()[0]) == ()


def test_memory_is_what_is_available_not_what_is_free() -> None:
    meminfo = "MemTotal: 24576000 kB\nMemFree: 1024 kB\nMemAvailable: 8388608 kB\n"
    assert facts._available_mib(meminfo) == 8192
    assert facts._available_mib("MemTotal: 1 kB\n") == 0
