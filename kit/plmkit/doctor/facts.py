"""What this machine is: read from files and programs, and not judged here."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from plmkit.localcluster import ownership
from plmkit.localcluster.layout import HOST_LINK, POD_RANGE, SERVICE_RANGE
from plmkit.state import Places

_CONTROLLERS = ("cpu", "memory", "pids")
_OURS = {
    bytes((198, 51, 100)): "198.51.100.0/24",
    bytes((10, 244)): POD_RANGE,
    bytes((10, 96)): SERVICE_RANGE,
}
_MODULES = ("overlay", "br_netfilter", "nf_tables", "veth")


@dataclass(frozen=True)
class Facts:
    """One look at the machine. Sizes in MiB."""

    is_root: bool
    is_debian: bool
    python: tuple[int, int]
    go: str  # what `go env GOVERSION` says; empty where there is none
    missing_features: tuple[
        str, ...
    ]  # kernel modules that are neither loaded, built in nor loadable
    missing_controllers: tuple[str, ...]  # control groups
    cache_free_mib: int
    state_free_mib: int
    memory_available_mib: int
    routes_elsewhere: tuple[str, ...]  # of our address ranges, by devices that are not ours
    tools_are_built: bool
    cluster_owner: (
        str  # state folder of the installation whose cluster runs; empty for none or our own
    )


def gather(places: Places) -> Facts:
    """Look. Changes nothing and needs no network."""
    owner = ownership.read()
    elsewhere = owner is not None and owner.state != str(places.state)
    return Facts(
        is_root=os.getuid() == 0,
        is_debian=shutil.which("dpkg-query") is not None,
        python=sys.version_info[:2],
        go=_go_version(),
        missing_features=tuple(name for name in _MODULES if not _has_module(name)),
        missing_controllers=tuple(name for name in _CONTROLLERS if not _has_controller(name)),
        cache_free_mib=_free_mib(places.cache),
        state_free_mib=_free_mib(places.state),
        memory_available_mib=_available_mib(Path("/proc/meminfo").read_text()),
        routes_elsewhere=_foreign_routes(),
        tools_are_built=(places.cache / "tools" / "bin" / "kubelet").exists(),
        cluster_owner=owner.state if owner is not None and elsewhere else "",
    )


def _go_version() -> str:
    try:
        done = subprocess.run(
            ["go", "env", "GOVERSION"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _has_module(name: str) -> bool:
    if Path("/sys/module", name).exists():
        return True
    release = os.uname().release
    for listing in ("modules.builtin", "modules.dep"):
        path = Path("/lib/modules", release, listing)
        if path.exists() and f"/{name}.ko" in path.read_text():
            return True
    return _works_without_module(name)


def _works_without_module(name: str) -> bool:
    """Kernels without modules name some features only where they show."""
    if name == "overlay":
        return "\toverlay\n" in Path("/proc/filesystems").read_text()
    if name == "br_netfilter":
        return Path("/proc/sys/net/bridge").exists() or _config_says("CONFIG_BRIDGE_NETFILTER")
    if name == "nf_tables":
        return _config_says("CONFIG_NF_TABLES") or Path("/proc/net/netfilter").exists()
    return _config_says("CONFIG_VETH") or not Path("/lib/modules").exists()


def _config_says(option: str) -> bool:
    import gzip  # noqa: PLC0415 - only where a kernel has no modules

    path = Path("/proc/config.gz")
    if not path.exists():
        return False
    return f"{option}=y" in gzip.decompress(path.read_bytes()).decode()


def _has_controller(name: str) -> bool:
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        return name in unified.read_text().split()
    rows = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
    return any(row[0] == name and row[3] == "1" for row in rows)


def _free_mib(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // 2**20


def _available_mib(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def _foreign_routes() -> tuple[str, ...]:
    """Our ranges, where the machine already sends them over a device of its own."""
    found = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        device, destination, *_rest = line.split()
        prefix = bytes.fromhex(destination)[::-1]
        found += [
            f"{text} by {device}"
            for start, text in _OURS.items()
            if prefix.startswith(start) and device not in {HOST_LINK, "*", "lo"}
        ]
    return tuple(found)
