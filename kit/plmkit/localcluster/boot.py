"""Carry out a start plan: write files, start daemons, apply manifests, wait. It decides nothing."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import ExitCode, KitError
from plmkit.localcluster import (
    certificates,
    containers,
    controlgroups,
    kernel,
    network,
    ownership,
    processes,
    readiness,
    rendering,
    teardown,
)
from plmkit.localcluster.api import Api, Unreachable
from plmkit.localcluster.daemons import Daemon, Stage, daemons
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.planning import StartPlan
from plmkit.localcluster.rendering import OwnImages
from plmkit.state import provide_state

_DEBIAN_PLUGINS = Path("/usr/lib/cni")
_ANSWER_WITHIN_S = 60.0
_READY_WITHIN_S = 90.0
_LINE_MAX = 300


@dataclass(frozen=True)
class Equipment:
    """What a start works with: daemons, the files they read, and the cluster's own images."""

    tools: Path
    daemons: tuple[Daemon, ...]
    config: Mapping[Path, str]
    images: OwnImages

    @property
    def names(self) -> tuple[str, ...]:
        """Of the daemons, in the order of their start."""
        return tuple(daemon.name for daemon in self.daemons)

    @property
    def fingerprints(self) -> dict[str, str]:
        """By daemon; differs from the recorded one when the daemon must be started anew."""
        return {daemon.name: daemon.fingerprint(self.config) for daemon in self.daemons}


def prepare(layout: Layout, tools: Path) -> Equipment:
    """Gather the equipment; tools that are missing are named at once."""
    found = daemons(layout, tools)
    programs = [Path(daemon.command[0]) for daemon in found]
    programs += [tools / name for name in ("kubeadm", "coredns", "plm-pause")]
    if missing := sorted({path.name for path in programs if not path.exists()}):
        raise KitError(
            f"tools are missing: {', '.join(missing)}", "plm tools", ExitCode.UNFIT_ENVIRONMENT
        )
    images = containers.own_images(tools)
    return Equipment(tools, found, rendering.config_files(layout, images), images)


def carry_out(plan: StartPlan, layout: Layout, equipment: Equipment, api: Api) -> None:
    """Do what the plan says and wait until the cluster is ready. What costs little is always done.

    Started daemons run in order of their stages: the images are imported while the API server comes up.
    """
    if plan.clear:
        _clear(layout)
    _write_files(layout, equipment, create_certificates=plan.create_certificates)
    _stop(layout, plan.stop)
    watch = _Watch(layout, [name for name in equipment.names if name not in plan.launch])
    launch = _Launcher(layout, equipment, controlgroups.create(), plan.launch, watch)
    with ThreadPoolExecutor(max_workers=1) as pool:
        launch(Stage.FOUNDATION)
        importing = pool.submit(_provide_images, layout, equipment, watch)
        readiness.wait_for(
            api.is_ready,
            "the API server",
            f"cat {layout.log('kube-apiserver')}",
            timeout_s=_ANSWER_WITHIN_S,
            meanwhile=watch,
        )
        _apply_manifests(layout, equipment, api, watch)
        launch(Stage.ENFORCEMENT)
        importing.result()
        launch(Stage.CONTROL)
    _wait_until_ready(layout, api, watch)
    certificates.publish_admin_kubeconfig(layout)


def _clear(layout: Layout) -> None:
    owner = ownership.read()
    teardown.stop(layout, owner)
    kernel.load_modules()
    ownership.write(
        owner
        or ownership.Ownership(
            state=str(layout.state),
            settings=kernel.read_settings(),
            namespaces_folder_existed=network.NAMESPACE_FILE.parent.exists(),
        )
    )
    network.up()


def _write_files(layout: Layout, equipment: Equipment, *, create_certificates: bool) -> None:
    provide_state(layout.state)
    for folder in (layout.cluster, layout.etcd, layout.volumes, layout.run, layout.logs):
        folder.mkdir(mode=0o700, exist_ok=True)
    _link_network_plugins(layout, equipment.tools)
    for path, text in equipment.config.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        # kube-proxy ends when its file is written, even with the same content.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    if create_certificates:
        certificates.create(layout, equipment.tools)


def _link_network_plugins(layout: Layout, tools: Path) -> None:
    layout.network_plugins.mkdir(exist_ok=True)
    plugins = [_DEBIAN_PLUGINS / name for name in ("bridge", "host-local", "loopback", "portmap")]
    for plugin in (*plugins, tools / "plm-netpol"):
        # Renamed into place: a pod may be starting at this moment.
        fresh = layout.network_plugins / f".{plugin.name}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(plugin)
        fresh.replace(layout.network_plugins / plugin.name)


def _stop(layout: Layout, names: tuple[str, ...]) -> None:
    records = [processes.read_record(layout.record(name)) for name in names]
    processes.stop([record for record in records if record], patience_s=5.0)


@dataclass(frozen=True)
class _Watch:
    """Notices a daemon that has ended: nobody starts it again, so whoever waits for it waits in vain."""

    layout: Layout
    names: list[str]  # those that are to live by now

    def __call__(self) -> None:
        # In the order of their start: one that ends takes along those that need it.
        for name in tuple(self.names):
            record = processes.read_record(self.layout.record(name))
            if record is None or not processes.is_alive(record):
                log = self.layout.log(name)
                raise KitError(
                    f"{name} has ended: {_last_line(log)}", f"cat {log}; then plm up again"
                )


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    return next((line[:_LINE_MAX] for line in reversed(lines) if line.strip()), "without a word")


@dataclass(frozen=True)
class _Launcher:
    """Starts those daemons of a stage that the plan names."""

    layout: Layout
    equipment: Equipment
    procs: Path
    names: tuple[str, ...]
    watch: _Watch

    def __call__(self, stage: Stage) -> None:
        for daemon in self.equipment.daemons:
            if daemon.stage is stage and daemon.name in self.names:
                processes.launch(self._request(daemon))
                self.watch.names.append(daemon.name)

    def _request(self, daemon: Daemon) -> processes.Launch:
        return processes.Launch(
            network.inside(daemon.command),
            record=self.layout.record(daemon.name),
            procs=self.procs,
            log=self.layout.log(daemon.name),
            search_path=str(self.equipment.tools),
            fingerprint=self.equipment.fingerprints[daemon.name],
        )


def _provide_images(layout: Layout, equipment: Equipment, watch: _Watch) -> None:
    containers.wait_until_serving(layout, timeout_s=_ANSWER_WITHIN_S, meanwhile=watch)
    containers.provide_own_images(layout, equipment.tools, equipment.images)


def _apply_manifests(layout: Layout, equipment: Equipment, api: Api, watch: _Watch) -> None:
    for manifest in rendering.manifests(layout, equipment.images):
        _apply_until_taken(api, manifest, watch)


def _apply_until_taken(api: Api, manifest: Mapping[str, object], watch: Callable[[], None]) -> None:
    # The first seconds of an API server: namespaces appear one after another.
    deadline = time.monotonic() + _ANSWER_WITHIN_S
    while True:
        try:
            return api.apply(manifest)
        except Unreachable as error:
            watch()
            if time.monotonic() > deadline:
                raise KitError(f"the API server refuses: {error}", "plm status") from error
            time.sleep(0.05)


def _wait_until_ready(layout: Layout, api: Api, watch: _Watch) -> None:
    cure = f"cat {layout.log('kubelet')}"
    kubelet = processes.read_record(layout.record("kubelet"))
    since = processes.started_at(kubelet) if kubelet else time.time()
    readiness.wait_for(
        lambda: readiness.is_node_ready(api, since=since),
        "the node to be ready",
        cure,
        timeout_s=_READY_WITHIN_S,
        meanwhile=watch,
    )
    readiness.wait_for(
        lambda: readiness.are_pods_true(api, containers.running_ids(layout)),
        "DNS to be ready",
        cure,
        timeout_s=_READY_WITHIN_S,
        meanwhile=watch,
    )
