"""One installation's cluster among others: whose it is, whom it stops, and what it asks when all is down."""

from pathlib import Path
from typing import Any

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.localcluster import (
    LocalCluster,
    Task,
    boot,
    certificates,
    containers,
    network,
    observation,
    ownership,
    processes,
    readiness,
    teardown,
)
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.ownership import Ownership
from plmkit.localcluster.planning import DaemonState, Observed
from plmkit.state import Places

DAEMONS = ("containerd", "etcd")


class Machine:
    """Which cluster holds it, and what was done to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[str] = []

    @property
    def held_by(self) -> str | None:
        owner = ownership.read()
        return owner.state if owner else None

    def hold_for(self, state: Path) -> None:
        with ownership.locked():
            ownership.write(Ownership(str(state), {}, namespaces_folder_existed=True))

    def stop(self, layout: Layout, owner: Ownership | None) -> None:
        self.done.append(f"stop {layout.state.name} held by {self.held_by_name()}")

    def remove_data(self, layout: Layout) -> None:
        self.done.append(f"remove data of {layout.state.name} held by {self.held_by_name()}")

    def remove_the_rest(self) -> None:
        self.done.append(f"remove the rest held by {self.held_by_name()}")

    def carry_out(self, plan: Any, layout: Layout, *_arguments: Any) -> None:
        self.done.append(f"start {layout.state.name} held by {self.held_by_name()}")

    def observe(self, layout: Layout, _equipment: Any) -> Observed:
        return Observed(
            state=str(layout.state),
            owner=self.held_by,
            network_is_up=True,
            certificates_exist=True,
            daemons=dict.fromkeys(DAEMONS, DaemonState.RUNNING),
        )

    def held_by_name(self) -> str:
        return Path(self.held_by).name if self.held_by else "nobody"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(ownership, "_FOLDER", tmp_path / "run")
    monkeypatch.setattr(ownership, "_LOCK", tmp_path / "run" / "lock")
    monkeypatch.setattr(ownership, "RECORD", tmp_path / "run" / "cluster.json")
    monkeypatch.setattr(boot, "prepare", lambda *_arguments: None)
    monkeypatch.setattr(boot, "carry_out", made.carry_out)
    monkeypatch.setattr(observation, "observe", made.observe)
    monkeypatch.setattr(teardown, "stop", made.stop)
    monkeypatch.setattr(teardown, "remove_data", made.remove_data)
    return made


def cluster(machine: Machine, state: str) -> LocalCluster:
    places = Places(machine.folder, machine.folder / "cache", machine.folder / state)
    return LocalCluster(places, machine.folder / "tools")


def ignore(_text: str) -> None:
    """No talk."""


def test_another_installation_s_cluster_is_not_stopped_unasked(machine: Machine) -> None:
    machine.hold_for(machine.folder / "theirs")
    with pytest.raises(KitError, match="already runs the cluster of") as refused:
        cluster(machine, "ours").start(progress=ignore)
    assert refused.value.cure == f"PLM_STATE_DIR={machine.folder / 'theirs'} plm down"
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
    assert machine.done == []
    assert machine.held_by_name() == "theirs"


def test_whose_the_machine_is_can_be_known_before_a_start(machine: Machine) -> None:
    cluster(machine, "ours").refuse_another()
    machine.hold_for(machine.folder / "ours")
    cluster(machine, "ours").refuse_another()
    with pytest.raises(KitError, match="already runs the cluster of") as refused:
        cluster(machine, "theirs").refuse_another()
    assert refused.value.cure == f"PLM_STATE_DIR={machine.folder / 'ours'} plm down"
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT


def test_asked_to_take_over_it_is_stopped_first_and_its_data_stays(machine: Machine) -> None:
    machine.hold_for(machine.folder / "theirs")
    told: list[str] = []
    cluster(machine, "ours").start(take_over=True, progress=told.append)
    assert machine.done == ["stop theirs held by theirs", "start ours held by nobody"]
    assert told[0] == f"stopping the cluster of {machine.folder / 'theirs'}; its data stays"


def test_stop_tells_whether_there_was_something_to_stop(machine: Machine) -> None:
    machine.hold_for(machine.folder / "ours")
    assert cluster(machine, "ours").stop()
    assert not cluster(machine, "ours").stop()
    assert machine.done == ["stop ours held by ours", "stop ours held by nobody"]
    assert not (machine.folder / "run").exists()


def test_stop_and_purge_leave_another_installation_s_cluster_alone(machine: Machine) -> None:
    machine.hold_for(machine.folder / "theirs")
    assert not cluster(machine, "ours").stop()
    assert machine.done == []
    assert not cluster(machine, "ours").purge(machine.remove_the_rest)
    assert machine.done == ["remove data of ours held by theirs", "remove the rest held by theirs"]
    assert machine.held_by_name() == "theirs"


def test_a_purge_lets_go_of_the_machine_only_when_the_data_is_gone(machine: Machine) -> None:
    """A `plm up` that waits for its turn must not start on data that is being removed."""
    machine.hold_for(machine.folder / "ours")
    assert cluster(machine, "ours").purge(machine.remove_the_rest)
    assert machine.done == [
        "stop ours held by ours",
        "remove data of ours held by ours",
        "remove the rest held by ours",
    ]
    assert machine.held_by is None


def test_a_stop_that_failed_keeps_the_record_of_what_to_put_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise KitError("umount x: busy", "fuser -vm x")

    machine.hold_for(machine.folder / "ours")
    monkeypatch.setattr(teardown, "stop", fail)
    ours = cluster(machine, "ours")
    for end in (ours.stop, lambda: ours.purge(machine.remove_the_rest)):
        with pytest.raises(KitError, match="busy"):
            end()
    assert machine.held_by_name() == "ours"
    assert machine.done == [], "data under a mount that is still there"


def test_a_stopped_cluster_is_not_asked_how_its_node_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address leads nowhere, or to somebody else: asking costs seconds."""
    asked: list[str] = []
    monkeypatch.setattr(certificates, "exist", lambda _layout: True)

    def is_node_ready(_api: Any) -> bool:
        asked.append("node")
        return True

    monkeypatch.setattr(readiness, "is_node_ready", is_node_ready)
    down = cluster(machine, "ours").status()
    assert (any(down.daemons.values()), down.node_is_ready, asked) == (False, False, [])
    monkeypatch.setattr(observation, "living", lambda _layout, names: dict.fromkeys(names, True))
    up = cluster(machine, "ours").status()
    assert (all(up.daemons.values()), up.node_is_ready, asked) == (True, True, ["node"])


def test_killing_in_a_pod_that_does_not_run_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[str] = []
    tasks = {"node-b": Task("ccc", 7, "RUNNING")}
    monkeypatch.setattr(containers, "find_task", lambda _layout, *, pod, **_named: tasks.get(pod))
    monkeypatch.setattr(
        containers, "kill_task", lambda _layout, task: killed.append(task.container)
    )
    assert cluster(machine, "ours").kill_container_task("node-b") == tasks["node-b"]
    with pytest.raises(KitError, match="pod plm/node-x has no running container"):
        cluster(machine, "ours").kill_container_task("node-x")
    assert killed == ["ccc"]


def test_a_daemon_is_seen_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this very process, since it is sure to live."""
    own = network.namespace_identity(Path("/proc/self/ns/net"))
    identities = {network.NAMESPACE_FILE: own}
    real = network.namespace_identity
    monkeypatch.setattr(
        network,
        "namespace_identity",
        lambda file=network.NAMESPACE_FILE: identities.get(file) or real(file),
    )
    layout = Layout(tmp_path)
    layout.run.mkdir(parents=True)

    def seen(fingerprint: str = "f1") -> DaemonState:
        return observation._daemon_state(layout, "etcd", fingerprint)

    assert seen() is DaemonState.DEAD
    stat = Path("/proc/self/stat").read_text()
    layout.record("etcd").write_text(f"{processes.boot_id()}\nf1\n{stat}")
    assert seen() is DaemonState.RUNNING
    assert seen("f2") is DaemonState.OUTDATED
    assert observation.living(layout, ["etcd", "kubelet"]) == {"etcd": True, "kubelet": False}
    identities[network.NAMESPACE_FILE] = own + 1
    assert seen() is DaemonState.MISPLACED
