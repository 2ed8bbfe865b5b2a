"""The control group of the cluster, on folders that look like the kernel's hierarchies."""

import itertools
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.localcluster import controlgroups

V1 = """sysfs /sys sysfs rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
/dev/sda1 / ext4 rw 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"

Mount = Callable[..., list[Path]]


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mount:
    """Make hierarchies of these names and a mount table that lists them."""

    def make(*names: str, kind: str = "cgroup") -> list[Path]:
        roots = [tmp_path / name for name in names]
        for root in roots:
            root.mkdir()
        table = tmp_path / "mounts"
        table.write_text("".join(f"cgroup {root} {kind} rw 0 0\n" for root in roots))
        monkeypatch.setattr(controlgroups, "_MOUNTS", table)
        return roots

    return make


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    found = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    yield found
    for child in found:
        child.kill()
        child.wait()


def group(root: Path, name: str, *pids: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    return folder


def test_hierarchies_of_both_versions_are_found_and_nothing_else() -> None:
    assert [str(path) for path in controlgroups.hierarchies(V1)] == [
        "/sys/fs/cgroup/cpu,cpuacct",
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/unified",
    ]
    assert controlgroups.hierarchies(V2) == [Path("/sys/fs/cgroup")]


def test_daemons_are_tracked_where_none_can_leave() -> None:
    assert controlgroups.tracking(controlgroups.hierarchies(V1)).name == "pids"
    assert controlgroups.tracking(controlgroups.hierarchies(V2)) == Path("/sys/fs/cgroup")


def test_a_machine_without_control_groups_is_told_what_to_mount() -> None:
    with pytest.raises(KitError, match="no control groups") as refused:
        controlgroups.tracking([])
    assert refused.value.cure.startswith("mount -t cgroup2")


def test_the_group_is_made_in_every_hierarchy_and_made_again_without_complaint(
    mount: Mount,
) -> None:
    roots = mount("cpu", "pids", "memory")
    for _ in range(2):
        joining = controlgroups.create()
        assert joining == roots[1] / "plm" / "daemons" / "cgroup.procs"
        assert joining.parent.is_dir()
        assert all((root / "plm").is_dir() for root in roots)


def test_an_empty_cpuset_gets_its_parent_s_and_a_filled_one_is_left(mount: Mount) -> None:
    """On v1 nothing can join an empty one."""
    [root] = mount("cpuset")
    (root / "cpuset.cpus").write_text("0-1\n")
    (root / "cpuset.mems").write_text("0\n")
    (root / "plm").mkdir()
    (root / "plm" / "cpuset.cpus").write_text("\n")
    (root / "plm" / "cpuset.mems").write_text("1\n")
    controlgroups.create()
    assert (root / "plm" / "cpuset.cpus").read_text() == "0-1\n"
    assert (root / "plm" / "cpuset.mems").read_text() == "1\n"


def test_on_v2_every_controller_is_handed_down(mount: Mount) -> None:
    [root] = mount("unified", kind="cgroup2")
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    controlgroups.create()
    for folder in (root, root / "plm"):
        assert (folder / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_members_are_counted_over_all_hierarchies_and_depths(mount: Mount) -> None:
    cpu, pids = mount("cpu", "pids")
    group(cpu, "plm", 1)
    group(pids, "plm/daemons", 2, 3)
    group(pids, "plm/kubepods/burstable/pod1/container", 4)
    group(pids, "elsewhere", 5)
    assert controlgroups.members() == {1, 2, 3, 4}
    assert controlgroups.container_members() == {4}


def test_nobody_is_a_member_where_there_is_no_group(mount: Mount) -> None:
    mount("cpu", "pids")
    assert controlgroups.members() == set()
    assert controlgroups.container_members() == set()


def test_groups_that_vanish_while_one_looks_are_no_error(mount: Mount) -> None:
    """Containers end and containerd removes their groups at the very moment in which `plm down` counts them."""
    [pids] = mount("pids")
    group(pids, "plm/kubepods", 1)
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            made = [group(pids, f"plm/kubepods/{number}/inner", 2) for number in range(10)]
            for inner in made:
                (inner / "cgroup.procs").unlink()
                inner.rmdir()
                inner.parent.rmdir()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(500):
            assert 1 in controlgroups.members() <= {1, 2}
            assert 1 in controlgroups.container_members() <= {1, 2}
    finally:
        ended.set()
        thread.join()


def test_all_members_are_killed_and_whom_they_bore_while_dying(
    children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, late = (child.pid for child in children)
    rounds = itertools.chain([{first, second}, {second, late}], itertools.repeat(set[int]()))
    monkeypatch.setattr(controlgroups, "members", lambda: next(rounds))
    controlgroups.kill_members()
    assert [child.wait(10) for child in children] == [-9, -9, -9]


def test_members_that_do_not_end_are_named(
    children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = children[0].pid
    monkeypatch.setattr(controlgroups, "_EMPTY_WITHIN_S", 0.05)
    monkeypatch.setattr(controlgroups, "members", lambda: {stuck})
    with pytest.raises(KitError, match=f"processes \\[{stuck}\\] do not end") as failed:
        controlgroups.kill_members()
    assert failed.value.cure == f"ps -o pid,stat,args {stuck}; then plm down again"


def test_the_group_is_removed_everywhere_deepest_first_and_twice_without_complaint(
    mount: Mount,
) -> None:
    roots = mount("cpu", "pids")
    for root in roots:
        (root / "plm" / "kubepods" / "pod1").mkdir(parents=True)
    (roots[0] / "theirs").mkdir()
    controlgroups.remove()
    controlgroups.remove()
    assert [path.name for root in roots for path in root.iterdir()] == ["theirs"]


def test_a_group_that_stays_busy_is_waited_for_then_named(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pids] = mount("pids")
    busy = group(pids, "plm/daemons", 1)
    monkeypatch.setattr(controlgroups, "_EMPTY_WITHIN_S", 0.05)
    with pytest.raises(KitError, match=f"{busy} cannot be removed") as failed:
        controlgroups.remove()
    assert f"cat {busy}/cgroup.procs" in failed.value.cure
    monkeypatch.setattr(controlgroups, "_EMPTY_WITHIN_S", 10.0)
    threading.Timer(0.1, (busy / "cgroup.procs").unlink).start()
    controlgroups.remove()
    assert not (pids / "plm").exists()
