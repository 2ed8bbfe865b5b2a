"""Going down: end processes, free mounts, network, control groups and settings. Works on any remains, also on none."""

import errno
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from plmkit import children
from plmkit.console import KitError
from plmkit.localcluster import containers, controlgroups, kernel, network, ownership, processes
from plmkit.localcluster.layout import CNI_NETWORK, Layout

_DAEMON_PATIENCE_S = 2.0
_CONTAINER_PATIENCE_S = 2.0
_ANSWER_WITHIN_S = 1.0
_UNMOUNTED_WITHIN_S = 5.0
# Those that would start again what is being stopped go first; containerd goes last, it ends the containers.
_CONTROLLERS = (
    "plm-localpath",
    "kubelet",
    "kube-proxy",
    "kube-controller-manager",
    "kube-scheduler",
)
_FOUNDATION = ("plm-netpol", "kube-apiserver", "etcd", "containerd")
# What containerd, the kubelet and the bridge plugin leave outside of the folders they were given. Removed when empty.
_KUBELET_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
_STRAY_FOLDERS = (
    "/run/containerd/s",
    "/run/containerd",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/log/containers",
)
_MOUNTS = Path("/proc/self/mounts")
_NAMESPACES = Path("/run/netns")
_CONTAINER_LOGS = Path("/var/log/containers")
_PLUGIN_RESULTS = Path("/var/lib/cni/results")
_PROC = Path("/proc")
_LOOPBACK = "cni-loopback"
_OCTAL = re.compile(r"\\([0-7]{3})")


def stop(layout: Layout, owner: ownership.Ownership | None) -> None:
    """End the cluster of this layout and keep its data. Each step finds itself done without complaint."""
    _stop_daemons(layout, _CONTROLLERS)
    _end_containers(layout)
    _stop_daemons(layout, _FOUNDATION)
    controlgroups.kill_members()
    _unmount(layout)
    _remove_strays(layout)
    for folder in (layout.addresses, layout.containerd_state, layout.run):
        shutil.rmtree(folder, ignore_errors=True)
    network.down()
    controlgroups.remove()
    if owner is not None:
        if not owner.namespaces_folder_existed:
            _remove_namespaces_folder()
        kernel.restore_settings(owner.settings)


def remove_data(layout: Layout) -> None:
    """Remove what `stop` keeps: cluster data and the administrator's kubeconfig."""
    shutil.rmtree(layout.cluster, ignore_errors=True)
    layout.admin_kubeconfig.unlink(missing_ok=True)


def _stop_daemons(layout: Layout, names: Iterable[str]) -> None:
    records = [processes.read_record(layout.record(name)) for name in names]
    found = [record for record in records if record is not None]
    processes.stop(found, patience_s=_DAEMON_PATIENCE_S)


def _end_containers(layout: Layout) -> None:
    """Ask the first process of every container to end, then kill; then let containerd forget them.

    A containerd that dies or hangs meanwhile is none to ask: the control group tells who is left to kill.
    """
    if not containers.answers(layout):
        return
    patience_s = containers.ANSWER_WITHIN_S
    with suppress(KitError):
        for task in containers.running(layout, timeout_s=patience_s):
            with suppress(ProcessLookupError):
                os.kill(task.pid, 15)
        _wait_until_gone(_CONTAINER_PATIENCE_S)
        processes.kill(controlgroups.container_members())
        _wait_until_gone(_CONTAINER_PATIENCE_S)
        containers.forget_all(layout, timeout_s=patience_s)


def _wait_until_gone(patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while controlgroups.container_members() and time.monotonic() < deadline:
        time.sleep(0.02)


def mount_points(mounts: str, layout: Layout, foreign: Collection[str]) -> list[str]:
    """Our mount points in a mount table, the innermost first: all under the state folder, and the pods' namespaces."""
    # The table writes spaces and the like as octal numbers, and everything else as it is.
    points = [_OCTAL.sub(_character, line.split(" ")[1]) for line in mounts.splitlines()]
    prefixes = (f"{layout.cluster}/", "/run/netns/cni-", "/var/run/netns/cni-")
    theirs = {f"{folder}/{name}" for folder in ("/run/netns", "/var/run/netns") for name in foreign}
    return [
        point for point in reversed(points) if point.startswith(prefixes) and point not in theirs
    ]


def foreign_namespaces() -> set[str]:
    """Pods' namespaces of another runtime on this machine, by name. To be asked when none of our processes is left.

    Every containerd names them alike. Ours cannot be listed: of a start that was killed there may be one that no
    file tells of. So theirs are: those in which a process lives, and those of which another network has a result.
    """
    living = {_identity(process / "ns" / "net") for process in _PROC.glob("[0-9]*")} - {0}
    used = {file.name for file in _NAMESPACES.glob("cni-*") if _identity(file) in living}
    named = {name for file in _foreign_results() for name in namespaces_in(_text(file))}
    return named | used


def _identity(namespace: Path) -> int:
    try:
        return namespace.stat().st_ino
    except OSError:  # gone, while we look
        return 0


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _foreign_results() -> list[Path]:
    ours = (f"{CNI_NETWORK}-", f"{_LOOPBACK}-")
    return [file for file in _PLUGIN_RESULTS.glob("*") if not file.name.startswith(ours)]


def namespaces_in(result: str) -> set[str]:
    """Names of the namespaces that a network plugins' result tells of; none where it cannot be read."""
    try:
        interfaces = json.loads(result)["result"]["interfaces"]
        return {Path(interface.get("sandbox", "")).name for interface in interfaces} - {""}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def _character(octal: re.Match[str]) -> str:
    return chr(int(octal.group(1), 8))


def _unmount(layout: Layout) -> None:
    foreign = foreign_namespaces()
    for point in mount_points(_MOUNTS.read_text(), layout, foreign):
        done = children.run(
            ["umount", point], timeout_s=_UNMOUNTED_WITHIN_S, cure=f"fuser -vm {point}"
        )
        if done.returncode != 0 and "not mounted" not in done.stderr:
            raise KitError(f"umount {point}: {done.stderr.strip()}", f"fuser -vm {point}")
    for file in _NAMESPACES.glob("cni-*"):
        if file.name not in foreign:
            file.unlink()


def _remove_strays(layout: Layout) -> None:
    for file in (*_shim_sockets(layout), *_plugin_results()):
        Path(file).unlink(missing_ok=True)
    # Ours has ended: who listens is another kubelet.
    if not _is_served(_KUBELET_SOCKET):
        _KUBELET_SOCKET.unlink(missing_ok=True)
    for link in _CONTAINER_LOGS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.pod_logs):
            link.unlink()
    for folder in _STRAY_FOLDERS:
        with suppress(OSError):
            Path(folder).rmdir()


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ANSWER_WITHIN_S)
        return probe.connect_ex(str(path)) not in {errno.ENOENT, errno.ECONNREFUSED}


def _shim_sockets(layout: Layout) -> list[str]:
    # A killed shim leaves its socket, whose name is a hash; the task's folder tells it.
    files = layout.containerd_state.glob("io.containerd.runtime.v2.task/*/*/address")
    sockets = [file.read_text().removeprefix("unix://") for file in files]
    return [path for path in sockets if path]


def _plugin_results() -> list[str]:
    # The network plugins' library keeps a result for each pod, which only an orderly end removes.
    prefix, suffix = f"{CNI_NETWORK}-", "-eth0"
    ours = [file.name for file in _PLUGIN_RESULTS.glob(f"{prefix}*{suffix}")]
    ids = [name.removeprefix(prefix).removesuffix(suffix) for name in ours]
    names = ours + [f"{_LOOPBACK}-{container}-lo" for container in ids]
    return [str(_PLUGIN_RESULTS / name) for name in names]


def _remove_namespaces_folder() -> None:
    if not _NAMESPACES.exists() or any(_NAMESPACES.iterdir()):
        return
    children.run(["umount", str(_NAMESPACES)], timeout_s=_UNMOUNTED_WITHIN_S, cure="plm down")
    with suppress(OSError):
        _NAMESPACES.rmdir()
