"""The control group that holds every process of the cluster: daemons, shims and containers. v1 hierarchies and v2."""

import os
import time
from contextlib import suppress
from pathlib import Path

from plmkit.console import KitError
from plmkit.localcluster import processes
from plmkit.localcluster.layout import CONTROL_GROUP

_MOUNTS = Path("/proc/self/mounts")
_EMPTY_WITHIN_S = 5.0


def hierarchies(mounts: str) -> list[Path]:
    """Mount points of all control group hierarchies, in the order of the mount table."""
    rows = (line.split(" ") for line in mounts.splitlines())
    return [Path(point) for _, point, kind, *_ in rows if kind in {"cgroup", "cgroup2"}]


def tracking(roots: list[Path]) -> Path:
    """The hierarchy in which daemons are put so that none is ever lost: `pids` on v1, the only one on v2."""
    for root in roots:
        if root.name == "pids":
            return root
    if not roots:
        raise KitError("no control groups are mounted", "mount -t cgroup2 none /sys/fs/cgroup")
    return roots[0]


def create() -> Path:
    """Make our group in every hierarchy (the kubelet wants it everywhere) and give the file a daemon joins by."""
    roots = hierarchies(_MOUNTS.read_text())
    for root in roots:
        group = root / CONTROL_GROUP
        group.mkdir(exist_ok=True)
        _inherit_cpuset(root, group)
        _delegate(root, group)
    daemons = tracking(roots) / CONTROL_GROUP / "daemons"
    daemons.mkdir(exist_ok=True)
    return daemons / "cgroup.procs"


def members() -> set[int]:
    """Every process of the cluster, whoever started it."""
    roots = hierarchies(_MOUNTS.read_text())
    return {pid for root in roots for pid in _processes_in(root / CONTROL_GROUP)}


def container_members() -> set[int]:
    """Processes inside containers."""
    root = tracking(hierarchies(_MOUNTS.read_text()))
    return _processes_in(root / CONTROL_GROUP / "kubepods")


def _processes_in(group: Path) -> set[int]:
    # Not rglob: it gives up on a group that is removed while it looks, and this is called while they are.
    found: set[int] = set()
    for folder, _, _ in os.walk(group):
        with suppress(OSError):
            found |= {int(pid) for pid in Path(folder, "cgroup.procs").read_text().split()}
    return found


def kill_members() -> None:
    """SIGKILL everything in our group until nothing is left; new children of the dying are caught as well."""
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while pids := members():
        processes.kill(pids)
        if time.monotonic() > deadline:
            raise KitError(
                f"processes {sorted(pids)} do not end",
                f"ps -o pid,stat,args {' '.join(map(str, sorted(pids)))}; then plm down again",
            )
        time.sleep(0.02)


def remove() -> None:
    """Remove our group from every hierarchy, deepest first. Nothing may live in it any more."""
    for root in hierarchies(_MOUNTS.read_text()):
        for folder, _, _ in os.walk(root / CONTROL_GROUP, topdown=False):
            _remove_group(Path(folder))


def _remove_group(folder: Path) -> None:
    # A group stays busy for a moment after its last process was reaped.
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise KitError(
                    f"control group {folder} cannot be removed: {error.strerror}",
                    f"cat {folder}/cgroup.procs; then plm down again",
                ) from error
            time.sleep(0.02)
        else:
            return


def _inherit_cpuset(root: Path, group: Path) -> None:
    # On v1 a new cpuset is empty, and nothing can join it.
    for name in ("cpuset.cpus", "cpuset.mems"):
        source, target = root / name, group / name
        if source.exists() and target.exists() and not target.read_text().strip():
            target.write_text(source.read_text())


def _delegate(root: Path, group: Path) -> None:
    # On v2 a controller works in a child only if its parent hands it down.
    controllers = root / "cgroup.controllers"
    if not controllers.exists():
        return
    wanted = " ".join(f"+{name}" for name in controllers.read_text().split())
    for folder in (root, group):
        if wanted:
            (folder / "cgroup.subtree_control").write_text(wanted)
