"""Carrying out a start plan: what is there stays as it is, and each stage waits for the one before it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.localcluster import (
    boot,
    certificates,
    containers,
    controlgroups,
    kernel,
    network,
    ownership,
    processes,
    readiness,
    teardown,
)
from plmkit.localcluster.api import Api, Unreachable
from plmkit.localcluster.boot import Equipment
from plmkit.localcluster.daemons import daemons
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.ownership import Ownership
from plmkit.localcluster.planning import StartPlan
from plmkit.localcluster.rendering import OwnImages, config_files

IMAGES = OwnImages("plm.local/pause:1", "plm.local/coredns:2")


def record(path: Path, *, lives: bool) -> None:
    """Of this very process, which lives, or of one from before the machine's last start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    boot_id = processes.boot_id() if lives else "the boot before"
    path.write_text(f"{boot_id}\nf1\n{Path('/proc/self/stat').read_text()}")


class Steps:
    """What was done, in order; stands in for all that would touch the machine."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.recorded: list[Ownership] = []
        self.looks = False  # at the daemons, while it waits
        self.dying: tuple[str, ...] = ()

    def note(self, text: str, answer: Any = None) -> Callable[..., Any]:
        def take(*_arguments: Any, **_named: Any) -> Any:
            self.done.append(text)
            return answer

        return take

    def launch(self, daemon: processes.Launch) -> None:
        name = daemon.record.stem
        self.done.append(f"launch {name}")
        record(daemon.record, lives=name not in self.dying)
        if name in self.dying:
            daemon.log.write_text(f"{name} begins\n{name}: no space left\n\n")

    def wait_for(
        self,
        _condition: Any,
        what: str,
        _cure: str,
        *,
        timeout_s: float,
        meanwhile: Callable[[], None],
    ) -> None:
        self.done.append(f"wait for {what}")
        if self.looks:
            meanwhile()

    def apply(self) -> None:
        if self.done[-1] != "apply":
            self.done.append("apply")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Steps:
    made = Steps()
    monkeypatch.setattr(processes, "launch", made.launch)
    monkeypatch.setattr(readiness, "wait_for", made.wait_for)
    monkeypatch.setattr(Api, "apply", lambda _api, _manifest: made.apply())
    monkeypatch.setattr(controlgroups, "create", lambda: tmp_path / "cgroup.procs")
    monkeypatch.setattr(containers, "wait_until_serving", lambda *_a, **_n: None)
    # Told apart from the rest: it happens at the same time.
    monkeypatch.setattr(containers, "provide_own_images", lambda *_arguments: None)
    monkeypatch.setattr(certificates, "create", made.note("certificates"))
    monkeypatch.setattr(certificates, "publish_admin_kubeconfig", made.note("kubeconfig"))
    monkeypatch.setattr(teardown, "stop", made.note("tear down"))
    monkeypatch.setattr(kernel, "load_modules", made.note("modules"))
    monkeypatch.setattr(kernel, "read_settings", lambda: {"kernel.panic": "0"})
    monkeypatch.setattr(network, "up", made.note("network"))
    monkeypatch.setattr(network, "NAMESPACE_FILE", tmp_path / "netns" / "plmnode")
    monkeypatch.setattr(ownership, "read", lambda: made.recorded[-1] if made.recorded else None)
    monkeypatch.setattr(ownership, "write", made.recorded.append)
    return made


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "state")


@pytest.fixture
def equipment(layout: Layout, tmp_path: Path) -> Equipment:
    tools = tmp_path / "tools"
    tools.mkdir()
    found = daemons(layout, tools)
    for daemon in found:
        Path(tools, daemon.name).touch()
    # containerd is Debian's and may be missing here.
    own = tuple(daemon for daemon in found if daemon.name != "containerd")
    return Equipment(tools, own, config_files(layout, IMAGES), IMAGES)


def plan(equipment: Equipment, *, clear: bool = True, launch: tuple[str, ...] = ()) -> StartPlan:
    names = tuple(daemon.name for daemon in equipment.daemons)
    return StartPlan(
        stop_other=None,
        clear=clear,
        create_certificates=clear,
        stop=(),
        launch=names if clear else launch,
        reason="",
    )


def carry_out(planned: StartPlan, layout: Layout, equipment: Equipment) -> None:
    boot.carry_out(planned, layout, equipment, Api(Path(), Path(), Path()))


def test_pods_may_start_only_after_policies_are_enforced_and_roles_are_there(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    carry_out(plan(equipment), layout, equipment)
    assert steps.done == [
        "tear down",
        "modules",
        "network",
        "certificates",
        "launch etcd",
        "launch kube-apiserver",
        "wait for the API server",
        "apply",
        "launch plm-netpol",
        "launch kube-controller-manager",
        "launch kube-scheduler",
        "launch kubelet",
        "launch kube-proxy",
        "launch plm-localpath",
        "wait for the node to be ready",
        "wait for DNS to be ready",
        "kubeconfig",
    ]


def test_no_pod_starts_where_the_cluster_s_own_images_could_not_be_had(
    steps: Steps, layout: Layout, equipment: Equipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise KitError("ctr images import: no space left", "plm status")

    monkeypatch.setattr(containers, "provide_own_images", fail)
    with pytest.raises(KitError, match="no space left"):
        carry_out(plan(equipment), layout, equipment)
    assert steps.done[-1] == "launch plm-netpol"


def test_a_daemon_that_ends_is_named_at_once_with_what_it_said_last(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    """etcd, not the API server that waits for it and ends too."""
    steps.looks, steps.dying = True, ("etcd", "kube-apiserver")
    with pytest.raises(KitError, match=r"^etcd has ended: etcd: no space left$") as failed:
        carry_out(plan(equipment), layout, equipment)
    assert failed.value.cure == f"cat {layout.log('etcd')}; then plm up again"
    assert steps.done[-1] == "wait for the API server"


@pytest.mark.parametrize("looked_for", ["kubelet", "etcd"])
def test_what_ran_before_is_looked_at_like_what_was_started(
    steps: Steps, layout: Layout, equipment: Equipment, looked_for: str
) -> None:
    for name in equipment.names:
        record(layout.record(name), lives=name != looked_for)
    steps.looks, steps.dying = True, ("kubelet",) if looked_for == "kubelet" else ()
    with pytest.raises(KitError, match=f"^{looked_for} has ended"):
        carry_out(plan(equipment, clear=False, launch=("kubelet",)), layout, equipment)


def test_no_daemon_is_missed_before_its_turn(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    steps.looks = True
    carry_out(plan(equipment), layout, equipment)
    assert steps.done[-1] == "kubeconfig"


def test_only_what_the_plan_names_is_started(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    carry_out(plan(equipment, clear=False, launch=("kubelet",)), layout, equipment)
    assert [step for step in steps.done if step.startswith("launch")] == ["launch kubelet"]
    assert "certificates" not in steps.done
    assert "tear down" not in steps.done


def test_the_machine_is_taken_before_anything_of_it_is_changed(
    steps: Steps, layout: Layout, equipment: Equipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right after, the next command knows what to put back."""
    taken: list[int] = []
    monkeypatch.setattr(network, "up", lambda: taken.append(len(steps.recorded)))
    carry_out(plan(equipment), layout, equipment)
    assert taken == [1]
    assert steps.recorded == [
        Ownership(str(layout.state), {"kernel.panic": "0"}, namespaces_folder_existed=False)
    ]


def test_settings_of_before_the_first_start_survive_a_start_that_was_killed(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    """By then the kubelet may have changed them: reading them again would keep its values for good."""
    first = Ownership(str(layout.state), {"kernel.panic": "7"}, namespaces_folder_existed=True)
    steps.recorded.append(first)
    carry_out(plan(equipment), layout, equipment)
    assert steps.recorded == [first, first]


def test_a_file_that_is_right_is_not_written_again(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    """kube-proxy ends when its file is written; one that was cut off is written whole."""
    carry_out(plan(equipment), layout, equipment)
    kept, torn = layout.config / "kube-proxy.yaml", layout.config / "kubelet.yaml"
    whole, before = torn.read_text(), kept.stat().st_mtime_ns
    torn.write_text(whole[:100])
    carry_out(plan(equipment, clear=False), layout, equipment)
    assert kept.stat().st_mtime_ns == before
    assert torn.read_text() == whole


def test_the_state_is_nobody_else_s_to_read(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    carry_out(plan(equipment), layout, equipment)
    for folder in (layout.state, layout.cluster, layout.etcd, layout.volumes, layout.run):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_network_plugins_are_links_that_are_replaced_at_once(
    steps: Steps, layout: Layout, equipment: Equipment
) -> None:
    carry_out(plan(equipment), layout, equipment)
    (layout.network_plugins / ".bridge").symlink_to("left by a killed start")
    (layout.network_plugins / "portmap").unlink()
    carry_out(plan(equipment, clear=False), layout, equipment)
    links = {path.name: path.readlink() for path in layout.network_plugins.iterdir()}
    assert set(links) == {"bridge", "host-local", "loopback", "portmap", "plm-netpol"}
    assert links["plm-netpol"] == equipment.tools / "plm-netpol"


def test_missing_tools_are_named_before_anything_is_done(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(KitError, match=r"tools are missing: .*kubeadm, kubelet") as refused:
        boot.prepare(layout, tmp_path / "empty")
    assert refused.value.cure == "plm tools"
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
    assert not layout.state.exists()


def test_a_manifest_is_offered_until_the_young_api_server_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []

    def look() -> None:
        looks.append("at the daemons")

    answers = iter([Unreachable("namespace kube-system not found"), None])

    def apply(_api: Any, _manifest: Any) -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    monkeypatch.setattr(Api, "apply", apply)
    access = Api(Path(), Path(), Path())
    boot._apply_until_taken(access, {}, look)
    assert list(answers) == []
    assert looks == ["at the daemons"]

    monkeypatch.setattr(boot, "_ANSWER_WITHIN_S", -1.0)
    answers = iter([Unreachable("503 etcd is gone")])
    with pytest.raises(KitError, match="refuses: 503 etcd is gone"):
        boot._apply_until_taken(access, {}, look)
