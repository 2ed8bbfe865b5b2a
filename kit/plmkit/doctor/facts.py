"""What this machine is: read from files and programs, and not judged here."""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import KitError
from plmkit.doctor import ports
from plmkit.localcluster import ownership
from plmkit.localcluster.layout import HOST_LINK, POD_RANGE, SERVICE_RANGE, Layout
from plmkit.state import Places
from plmkit.tools.go import ask_version

_ANSWER_WITHIN_S = 10.0
_CONTROLLERS = ("cpu", "memory", "pids")
_OURS = {
    bytes((198, 51, 100)): "198.51.100.0/24",
    bytes((10, 244)): POD_RANGE,
    bytes((10, 96)): SERVICE_RANGE,
}
_MOUNTS = Path("/proc/self/mounts")
_MODULES = ("overlay", "br_netfilter", "nf_tables", "veth")


@dataclass(frozen=True)
class Facts:
    """One look at the machine. Sizes in MiB."""

    is_root: bool
    architecture: str
    is_debian: bool  # packages can be installed
    release: str  # such as "debian 12"
    python: tuple[int, int]
    go: str  # what `go env GOVERSION` says; empty where there is none
    # Of what packages bring, an empty string for what is not installed yet.
    containerd: str
    runc: str
    # Kernel modules that are neither loaded, built in nor loadable.
    missing_features: tuple[str, ...]
    missing_controllers: tuple[str, ...]  # control groups
    cache_free_mib: int
    state_free_mib: int
    is_one_disk: bool  # cache and state share it
    memory_available_mib: int
    taken_ports: tuple[str, ...]  # of our daemons that do not run, by somebody else
    routes_elsewhere: tuple[str, ...]  # of our address ranges, by devices that are not ours
    socket_path_bytes: int  # of the longest path that a daemon listens on
    # What is there already asks for no more room.
    tools_are_built: bool
    images_are_built: bool
    cluster_is_filled: bool
    cluster_runs: bool
    # State folder of the installation whose cluster runs; empty for none or our own.
    cluster_owner: str


def gather(places: Places) -> Facts:
    """Look. Changes nothing and needs no network."""
    owner = _owner()
    layout = Layout(places.state)
    return Facts(
        is_root=os.getuid() == 0,
        architecture=os.uname().machine,
        is_debian=shutil.which("dpkg-query") is not None,
        release=_release(),
        python=sys.version_info[:2],
        go=ask_version(),
        containerd=_version("containerd"),
        runc=_version("runc"),
        missing_features=tuple(name for name in _MODULES if not _has_module(name)),
        missing_controllers=tuple(
            name for name in _CONTROLLERS if name not in controllers(_MOUNTS.read_text())
        ),
        cache_free_mib=_free_mib(places.cache),
        state_free_mib=_free_mib(places.state),
        is_one_disk=_existing(places.cache).stat().st_dev == _existing(places.state).stat().st_dev,
        memory_available_mib=_available_mib(Path("/proc/meminfo").read_text()),
        taken_ports=ports.taken(layout) if owner == str(places.state) else (),
        routes_elsewhere=foreign_routes(Path("/proc/net/route").read_text()),
        # containerd listens on a second socket beside its own.
        socket_path_bytes=len(os.fsencode(f"{layout.containerd_socket}.ttrpc")),
        tools_are_built=(places.cache / "tools" / "bin" / "kubelet").exists(),
        images_are_built=(places.cache / "images" / "references.json").exists(),
        cluster_is_filled=layout.containerd_root.exists(),
        cluster_runs=owner == str(places.state),
        cluster_owner=owner if owner != str(places.state) else "",
    )


def _owner() -> str:
    try:
        owner = ownership.read()
    except KitError:  # a plain user may not know; that we are not root is a finding of its own
        return ""
    return owner.state if owner is not None else ""


def _release() -> str:
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return ""
    return f"{found['ID']} {found.get('VERSION_ID', '')}".strip()


def _version(program: str) -> str:
    """The first thing that looks like a version in what a program says of itself."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN_S,
            check=False,
        )
    except FileNotFoundError:
        return ""
    except (OSError, subprocess.TimeoutExpired):
        return "of no version that it tells"
    match = re.search(r"\b[0-9]+\.[0-9]+(\.[0-9]+)?", done.stdout)
    return match[0] if match else "of no version that it tells"


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


def controllers(mounts: str) -> set[str]:
    """Controllers of control groups in a mount table: of hierarchies that one may write to, v1 and v2."""
    found: set[str] = set()
    for line in mounts.splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind not in {"cgroup", "cgroup2"} or "rw" not in options.split(","):
            continue
        listing = Path(point, "cgroup.controllers")
        found |= set(listing.read_text().split() if listing.exists() else options.split(","))
    return found


def _free_mib(folder: Path) -> int:
    return shutil.disk_usage(_existing(folder)).free // 2**20


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _available_mib(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def foreign_routes(table: str) -> tuple[str, ...]:
    """Our ranges, where a table as in /proc/net/route already sends them over a device of the machine's own."""
    found = []
    for line in table.splitlines()[1:]:
        device, destination, *_rest = line.split()
        prefix = bytes.fromhex(destination)[::-1]
        found += [
            f"{text} by {device}"
            for start, text in _OURS.items()
            if prefix.startswith(start) and device not in {HOST_LINK, "*", "lo"}
        ]
    return tuple(found)
