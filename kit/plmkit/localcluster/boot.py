"""Carry out a start plan: write files, start daemons, apply manifests, wait. It decides nothing."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import KitError
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

_ANSWER_WITHIN_S = 60.0
_READY_WITHIN_S = 90.0


@dataclass(frozen=True)
class Equipment:
    """What a start works with: daemons, the files they read, and the cluster's own images."""

    tools: Path
    daemons: tuple[Daemon, ...]
    config: Mapping[Path, str]
    images: OwnImages

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
        raise KitError(f"tools are missing: {', '.join(missing)}", "plm tools")
    images = containers.own_images(tools)
    return Equipment(tools, found, rendering.config_files(layout, images), images)


def carry_out(plan: StartPlan, layout: Layout, equipment: Equipment, api: Api) -> None:
    """Do what the plan says and wait until the cluster is ready."""
    if not plan.launch:
        return
    started_at = time.time()
    if plan.clear:
        _clear(layout)
    _write_files(layout, equipment, create_certificates=plan.create_certificates)
    procs = controlgroups.create()
    _stop(layout, plan.stop)
    stages = {
        stage: [
            daemon
            for daemon in equipment.daemons
            if daemon.stage is stage and daemon.name in plan.launch
        ]
        for stage in Stage
    }
    with ThreadPoolExecutor(max_workers=1) as pool:
        _launch(stages[Stage.FOUNDATION], layout, equipment, procs)
        importing = pool.submit(_provide_images, layout, equipment)
        log = layout.log("kube-apiserver")
        readiness.wait_for(api.is_ready, "the API server", f"cat {log}", timeout_s=_ANSWER_WITHIN_S)
        _apply_manifests(layout, equipment, api)
        _launch(stages[Stage.ENFORCEMENT], layout, equipment, procs)
        importing.result()
        _launch(stages[Stage.CONTROL], layout, equipment, procs)
    since = started_at if "kubelet" in plan.launch else 0.0
    _wait_until_ready(layout, api, since=since)
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
    layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (layout.cluster, layout.etcd, layout.volumes, layout.run, layout.logs):
        folder.mkdir(mode=0o700, exist_ok=True)
    for path, text in equipment.config.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if create_certificates:
        certificates.create(layout, equipment.tools)


def _stop(layout: Layout, names: tuple[str, ...]) -> None:
    records = [processes.read_record(layout.record(name)) for name in names]
    processes.stop([record for record in records if record], patience_s=5.0)


def _launch(chosen: list[Daemon], layout: Layout, equipment: Equipment, procs: Path) -> None:
    for daemon in chosen:
        request = processes.Launch(
            network.inside(daemon.command),
            record=layout.record(daemon.name),
            procs=procs,
            log=layout.log(daemon.name),
            search_path=str(equipment.tools),
            fingerprint=equipment.fingerprints[daemon.name],
        )
        processes.launch(request)


def _provide_images(layout: Layout, equipment: Equipment) -> None:
    containers.wait_until_serving(layout, timeout_s=_ANSWER_WITHIN_S)
    containers.provide_own_images(layout, equipment.tools, equipment.images)


def _apply_manifests(layout: Layout, equipment: Equipment, api: Api) -> None:
    for manifest in rendering.manifests(layout, equipment.images):
        _apply_until_taken(api, manifest)


def _apply_until_taken(api: Api, manifest: Mapping[str, object]) -> None:
    # The first seconds of an API server: namespaces appear one after another.
    deadline = time.monotonic() + _ANSWER_WITHIN_S
    while True:
        try:
            return api.apply(manifest)
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise KitError(f"the API server refuses: {error}", "plm status") from error
            time.sleep(0.05)


def _wait_until_ready(layout: Layout, api: Api, *, since: float) -> None:
    log = layout.log("kubelet")
    readiness.wait_for(
        lambda: readiness.is_node_ready(api, since=since),
        "the node to be ready",
        f"cat {log}",
        timeout_s=_READY_WITHIN_S,
    )
    readiness.wait_for(
        lambda: readiness.are_pods_true(
            api, {task.container for task in containers.running(layout)}
        ),
        "DNS to be ready",
        f"cat {log}",
        timeout_s=_READY_WITHIN_S,
    )
