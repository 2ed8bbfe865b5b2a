"""Going down: in an order in which nothing starts again, nothing is lost and nothing of others is touched."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import KitError
from plmkit.localcluster import containers, kernel, teardown
from plmkit.localcluster.containers import Task
from plmkit.localcluster.daemons import daemons
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.ownership import Ownership
from support.paper_machine import PaperMachine
from support.programs import put

OWNER = Ownership("/state", {"kernel.panic": "0"}, namespaces_folder_existed=False)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PaperMachine:
    made = PaperMachine(Layout(tmp_path / "state"), tmp_path / "machine")
    made.put_in_place(monkeypatch)
    return made


def test_who_starts_others_goes_first_and_settings_come_back_last(machine: PaperMachine) -> None:
    names = [daemon.name for daemon in daemons(machine.layout, Path("/tools"))]
    for name in names:
        machine.record(name)
    teardown.stop(machine.layout, OWNER)
    stopped = [step.removeprefix("stop ") for step in machine.done if step.startswith("stop ")]
    assert sorted(stopped) == sorted(names), "a daemon that nobody stops"
    # containerd ends the containers, and the policies hold until none is left to be held.
    assert stopped[-1] == "containerd"
    order = [step for step in machine.done if not step.startswith("stop ")]
    assert order == [
        "ask containers",
        "kill containers",
        "forget",
        "kill group",
        "network, records first",
        "remove group",
        "settings",
    ]
    asked = machine.done.index("ask containers")
    assert max(map(machine.done.index, ("stop kubelet", "stop plm-localpath"))) < asked
    assert asked < min(map(machine.done.index, ("stop containerd", "stop plm-netpol")))


def test_nothing_at_all_is_brought_down_without_complaint(machine: PaperMachine) -> None:
    machine.containerd_answers = False
    teardown.stop(machine.layout, None)
    teardown.stop(machine.layout, None)
    assert machine.done == ["kill group", "network, records first", "remove group"] * 2


def test_a_containerd_that_dies_meanwhile_stops_nothing(machine: PaperMachine) -> None:
    machine.containerd_dies = True
    teardown.stop(machine.layout, OWNER)
    assert machine.done[0] == "ask containers"
    assert machine.done[-1] == "settings"


def test_a_containerd_that_hangs_meanwhile_leaves_time_for_the_rest(machine: PaperMachine) -> None:
    """Going down takes ten seconds at most: patience with daemons, twice, and what containerd may take."""
    teardown.stop(machine.layout, OWNER)
    assert max(machine.limits) + 2 * teardown._DAEMON_PATIENCE_S <= 8


def test_a_mount_that_hangs_is_told_of(
    machine: PaperMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = machine.layout.kubelet / "pods" / "token"
    machine.file("mounts", f"tmpfs {point} tmpfs rw 0 0\n")
    put(machine.folder / "programs", "umount", "exec sleep 60")
    monkeypatch.setattr(teardown, "_UNMOUNTED_WITHIN_S", 0.1)
    with pytest.raises(KitError, match=r"umount .* has not ended within 0 s") as hung:
        teardown.stop(machine.layout, OWNER)
    assert hung.value.cure == f"fuser -vm {point}"


def test_data_stays_and_what_must_not_outlive_the_pods_goes(machine: PaperMachine) -> None:
    layout = machine.layout
    gone = (layout.addresses, layout.containerd_state, layout.run)
    kept = (layout.etcd, layout.volumes, layout.certificates, layout.containerd_root, layout.logs)
    for folder in (*gone, *kept):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    teardown.stop(layout, OWNER)
    assert [folder for folder in gone if folder.exists()] == []
    assert [folder for folder in kept if not (folder / "file").exists()] == []


def test_a_purge_leaves_what_is_not_the_cluster_s(machine: PaperMachine) -> None:
    machine.layout.etcd.mkdir(parents=True)
    machine.layout.admin_kubeconfig.touch()
    (machine.layout.state / "passphrase").touch()
    for _ in range(2):
        teardown.remove_data(machine.layout)
    assert [path.name for path in machine.layout.state.iterdir()] == ["passphrase"]


def test_mount_points_are_ours_the_innermost_first() -> None:
    layout = Layout(Path("/home/Jörg Weg/plm"))
    table = (
        "tmpfs /run tmpfs rw 0 0\n"
        "tmpfs /home/Jörg\\040Weg/plm/cluster/kubelet/pods/1/token tmpfs rw 0 0\n"
        "overlay /home/Jörg\\040Weg/plm/cluster/kubelet/pods/1/token/inner overlay rw 0 0\n"
        "tmpfs /home/Jörg\\040Weg/plm/clusters tmpfs rw 0 0\n"
        "nsfs /run/netns/cni-1 nsfs rw 0 0\n"
        "nsfs /run/netns/cni-theirs nsfs rw 0 0\n"
        "nsfs /run/netns/theirs nsfs rw 0 0\n"
        "tmpfs /home/Jörg\\040Weg/plm/cluster/a\\134b tmpfs rw 0 0\n"
    )
    assert teardown.mount_points(table, layout, {"cni-theirs"}) == [
        "/home/Jörg Weg/plm/cluster/a\\b",
        "/run/netns/cni-1",
        "/home/Jörg Weg/plm/cluster/kubelet/pods/1/token/inner",
        "/home/Jörg Weg/plm/cluster/kubelet/pods/1/token",
    ]


def test_what_is_still_mounted_is_freed_before_data_could_be_removed(machine: PaperMachine) -> None:
    point = machine.layout.kubelet / "pods" / "token"
    machine.file("mounts", f"tmpfs {point} tmpfs rw 0 0\ntmpfs /elsewhere tmpfs rw 0 0\n")
    teardown.stop(machine.layout, None)
    assert machine.unmounted == [str(point)]
    put(machine.folder / "programs", "umount", "echo 'umount: x: not mounted.' >&2; exit 32")
    teardown.stop(machine.layout, None)
    put(machine.folder / "programs", "umount", "echo 'target is busy' >&2; exit 32")
    with pytest.raises(KitError, match="target is busy") as failed:
        teardown.stop(machine.layout, None)
    assert failed.value.cure == f"fuser -vm {point}"


def test_logs_of_our_containers_go_and_those_of_others_stay(machine: PaperMachine) -> None:
    logs = machine.folder / "logs"
    logs.mkdir(parents=True)
    (logs / "ours.log").symlink_to(machine.layout.pod_logs / "pod" / "0.log")
    (logs / "theirs.log").symlink_to("/var/log/pods/pod/0.log")
    (logs / "file.log").write_text("no link at all")
    teardown.stop(machine.layout, OWNER)
    assert sorted(path.name for path in logs.iterdir()) == ["file.log", "theirs.log"]


def test_sockets_of_killed_shims_and_results_of_our_network_go(machine: PaperMachine) -> None:
    socket = machine.file("s/1234", "")
    tasks = machine.layout.containerd_state / "io.containerd.runtime.v2.task" / "k8s.io"
    for name, text in (("one", f"unix://{socket}"), ("torn", "")):
        (tasks / name).mkdir(parents=True)
        (tasks / name / "address").write_text(text)
    ours = [
        machine.file(f"results/{name}", "{}")
        for name in ("plm-embedded-abc-eth0", "cni-loopback-abc-lo")
    ]
    theirs = machine.file("results/cni-loopback-xyz-lo", "{}")
    stray = machine.file("stray/kubelet.sock", "")
    teardown.stop(machine.layout, OWNER)
    assert [path for path in (socket, *ours, stray, stray.parent) if path.exists()] == []
    assert theirs.exists()


def result_of(*namespaces: str) -> str:
    interfaces = [{"name": "eth0", "sandbox": f"/var/run/netns/{name}"} for name in namespaces]
    return json.dumps({"result": {"interfaces": [{"name": "cni0"}, *interfaces]}})


def test_pods_of_another_runtime_keep_their_namespaces(machine: PaperMachine) -> None:
    """All runtimes name them alike. A pod lives in one; another's network tells of the other; nobody of the third."""
    namespaces = [machine.file(f"netns/cni-{name}", "") for name in ("lived-in", "told", "ours")]
    machine.file("results/cbr0-abc-eth0", result_of("cni-told"))
    machine.file("results/plm-embedded-def-eth0", result_of("cni-ours"))
    (machine.folder / "proc" / "7" / "ns").mkdir(parents=True)
    (machine.folder / "proc" / "7" / "ns" / "net").hardlink_to(namespaces[0])
    (machine.folder / "proc" / "8").mkdir()  # it has just ended
    table = "".join(f"nsfs /run/netns/{path.name} nsfs rw 0 0\n" for path in namespaces)
    machine.file("mounts", table)
    teardown.stop(machine.layout, OWNER)
    assert machine.unmounted == ["/run/netns/cni-ours"]
    assert [path.name for path in namespaces if path.exists()] == ["cni-lived-in", "cni-told"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"result": {"interfaces": [1, null]}}'])
def test_a_result_that_cannot_be_read_tells_of_no_namespace(text: str) -> None:
    assert teardown.namespaces_in(text) == set()


def test_a_socket_on_which_another_kubelet_listens_stays(machine: PaperMachine) -> None:
    path = machine.file("stray/kubelet.sock", "")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        teardown.stop(machine.layout, OWNER)
        assert path.exists()
    teardown.stop(machine.layout, OWNER)
    assert not path.exists()


def test_folders_that_others_use_too_stay(machine: PaperMachine) -> None:
    theirs = machine.file("stray/theirs", "")
    teardown.stop(machine.layout, OWNER)
    assert theirs.exists()


@pytest.mark.parametrize(
    ("existed", "others", "left"), [(False, False, False), (False, True, True), (True, False, True)]
)
def test_the_namespaces_folder_goes_if_we_made_it_and_nobody_else_is_in_it(
    machine: PaperMachine, *, existed: bool, others: bool, left: bool
) -> None:
    folder = machine.folder / "netns"
    folder.mkdir(parents=True)
    (folder / "cni-of-a-pod").touch()
    if others:
        (folder / "theirs").touch()
    teardown.stop(machine.layout, Ownership("/state", {}, namespaces_folder_existed=existed))
    assert folder.exists() == left
    assert [path.name for path in folder.glob("cni-*")] == []
    # Unmounted with others in it, it would hide theirs.
    assert machine.unmounted == ([] if left else [str(folder)])


def test_settings_that_cannot_be_put_back_end_a_teardown_and_not_before(
    machine: PaperMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_settings: Any) -> None:
        raise KitError("the kernel does not take back kernel.panic", "sysctl -w kernel.panic=0")

    monkeypatch.setattr(kernel, "restore_settings", refuse)
    (machine.folder / "netns").mkdir(parents=True)
    with pytest.raises(KitError, match="does not take back"):
        teardown.stop(machine.layout, OWNER)
    assert machine.done[-1] == "remove group"
    assert not (machine.folder / "netns").exists()


def test_first_processes_of_containers_are_asked_before_they_are_killed(
    machine: PaperMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        asked.append((pid, number))
        raise ProcessLookupError  # it was faster

    monkeypatch.setattr(os, "kill", kill)
    tasks = [Task("one", 11, "RUNNING"), Task("two", 12, "RUNNING")]
    monkeypatch.setattr(containers, "running", lambda _layout, *, timeout_s: tasks)
    teardown.stop(machine.layout, OWNER)
    assert asked == [(11, 15), (12, 15)]
    assert machine.done[:2] == ["kill containers", "forget"]
