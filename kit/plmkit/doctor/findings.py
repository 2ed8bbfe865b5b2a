"""What facts mean: one sentence each, and the cure. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from plmkit.doctor.facts import Facts

PYTHON_MIN = (3, 11)
GO_MIN = (1, 26)
# Debian 12's; its packages bring them.
CONTAINERD_MIN = (1, 6)
RUNC_MIN = (1, 1)
RELEASE = "debian 12"
ARCHITECTURE = "x86_64"
# Room for what is missing yet: modules, build cache and tools; images; what the cluster holds. And a rest for all.
TOOLS_MIB = 12_000
IMAGES_MIB = 1_500
CLUSTER_MIB = 2_500
REST_MIB = 500
MEMORY_MIB = 4_096
_MEMORY_TO_BUILD_MIB = 6_144
# Of sockaddr_un, its ending zero left out.
SOCKET_PATH_BYTES_MAX = 107


@dataclass(frozen=True)
class Finding:
    """One check. `what` is one sentence; `cure` is empty when all is well."""

    name: str
    what: str
    cure: str = ""

    @property
    def is_fatal(self) -> bool:
        """Whether `plm up` cannot go on."""
        return bool(self.cure)


def judge(facts: Facts, *, is_embedded: bool) -> list[Finding]:
    """Every check that matters for this kind of cluster."""
    checks: list[Callable[[Facts], Finding]] = [_processor, _python, _go, _debian, _disk, _memory]
    if is_embedded:
        checks += [_root, _kernel, _control_groups, _runtime, _paths, _ports, _routes]
    return [check(facts) for check in checks]


def _python(facts: Facts) -> Finding:
    version = ".".join(str(part) for part in facts.python)
    if facts.python < PYTHON_MIN:
        return Finding("python", f"Python is {version}, 3.11 is needed", "apt-get install python3")
    return Finding("python", f"Python {version}")


def _go(facts: Facts) -> Finding:
    wanted = ".".join(str(part) for part in GO_MIN)
    if numbers_of(facts.go.removeprefix("go")) < GO_MIN:
        found = facts.go or "missing"
        return Finding(
            "go", f"Go is {found}, {wanted} is needed to build the tools",
            f"install Go {wanted} or newer and put it on PATH: https://go.dev/dl",
        )  # fmt: skip
    return Finding("go", f"Go {facts.go.removeprefix('go')}")


def numbers_of(version: str) -> tuple[int, ...]:
    """Major and minor of a version; fewer of what is none, which is less than any."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def _processor(facts: Facts) -> Finding:
    if facts.architecture != ARCHITECTURE:
        return Finding(
            "processor", f"the machine is {facts.architecture}, images are made for {ARCHITECTURE}",
            f"use a machine of {ARCHITECTURE}",
        )  # fmt: skip
    return Finding("processor", ARCHITECTURE)


def _debian(facts: Facts) -> Finding:
    if not facts.is_debian:
        return Finding(
            "debian", "this is no Debian: packages cannot be installed",
            "use Debian 12, on this machine or in a virtual one",
        )  # fmt: skip
    if facts.release != RELEASE:
        return Finding(
            "debian", f"the system is {facts.release or 'of no known release'}, {RELEASE} is needed",
            "use Debian 12, on this machine or in a virtual one",
        )  # fmt: skip
    return Finding("debian", "packages come from Debian 12")


def _disk(facts: Facts) -> Finding:
    cache = REST_MIB + TOOLS_MIB * (not facts.tools_are_built)
    cache += IMAGES_MIB * (not facts.images_are_built)
    state = REST_MIB + CLUSTER_MIB * (not facts.cluster_is_filled)
    if facts.is_one_disk:
        cache += state
    if facts.cache_free_mib < cache:
        return Finding(
            "disk", f"the cache's disk has {facts.cache_free_mib} MiB free, {cache} are needed",
            "free space, or set PLM_CACHE_DIR to another disk",
        )  # fmt: skip
    if facts.state_free_mib < state:
        return Finding(
            "disk", f"the state's disk has {facts.state_free_mib} MiB free, {state} are needed",
            "free space, or set PLM_STATE_DIR to another disk",
        )  # fmt: skip
    return Finding("disk", f"{min(facts.cache_free_mib, facts.state_free_mib)} MiB free")


def _memory(facts: Facts) -> Finding:
    needed = MEMORY_MIB if facts.tools_are_built else _MEMORY_TO_BUILD_MIB
    # What runs already has its memory: the same command again is to change nothing, not to be refused.
    if facts.memory_available_mib < needed and not (facts.cluster_runs and facts.tools_are_built):
        return Finding(
            "memory", f"{facts.memory_available_mib} MiB of memory are available, {needed} are needed",
            "end what else takes memory",
        )  # fmt: skip
    return Finding("memory", f"{facts.memory_available_mib} MiB available")


def _root(facts: Facts) -> Finding:
    if not facts.is_root:
        return Finding(
            "root", "the embedded cluster needs root",
            "sudo make up, or plm up --context NAME for another cluster",
        )  # fmt: skip
    return Finding("root", "we are root")


def _kernel(facts: Facts) -> Finding:
    if facts.missing_features:
        names = " ".join(facts.missing_features)
        return Finding(
            "kernel", f"the kernel lacks {names}",
            "boot one that has them, such as Debian's own: apt-get install linux-image-amd64",
        )  # fmt: skip
    return Finding("kernel", "overlay, bridge filter, nftables and veth are there")


def _control_groups(facts: Facts) -> Finding:
    if facts.missing_controllers:
        names = ", ".join(facts.missing_controllers)
        return Finding(
            "cgroups", f"control groups lack {names}, or may not be written to",
            "mount cgroups for writing (systemd does), and boot with cgroup_enable=memory",
        )  # fmt: skip
    return Finding("cgroups", "cpu, memory and pids are controlled")


def _runtime(facts: Facts) -> Finding:
    found = {"containerd": (facts.containerd, CONTAINERD_MIN), "runc": (facts.runc, RUNC_MIN)}
    for name, (version, least) in found.items():
        # What is not there yet comes from Debian's packages.
        if version and numbers_of(version) < least:
            wanted = ".".join(str(part) for part in least)
            return Finding(
                "runtime", f"{name} is {version}, {wanted} is needed",
                f"bring {name} up to date, or remove it: plm tools installs Debian's",
            )  # fmt: skip
    told = [f"{name} {version}" for name, (version, _) in found.items() if version]
    return Finding("runtime", ", ".join(told) or "containerd and runc will be installed")


def _ports(facts: Facts) -> Finding:
    if facts.taken_ports:
        return Finding(
            "ports", f"in the cluster's network somebody else listens at {', '.join(facts.taken_ports)}",
            "plm down, which removes that network; then plm up",
        )  # fmt: skip
    return Finding(
        "ports", "none of this machine is needed, and the cluster's own are free or ours"
    )


def _paths(facts: Facts) -> Finding:
    excess = facts.socket_path_bytes - SOCKET_PATH_BYTES_MAX
    if excess > 0:
        return Finding(
            "paths", f"the state folder's path is {excess} bytes too long for sockets in it",
            "set PLM_STATE_DIR to a folder with a shorter path",
        )  # fmt: skip
    return Finding("paths", "the state folder's path is short enough for sockets")


def _routes(facts: Facts) -> Finding:
    if facts.routes_elsewhere:
        return Finding(
            "addresses", f"the machine already uses {', '.join(facts.routes_elsewhere)}",
            "free these ranges, or plm up --context NAME for another cluster",
        )  # fmt: skip
    if facts.cluster_owner:
        return Finding("addresses", f"held by the cluster of {facts.cluster_owner}")
    return Finding("addresses", "198.51.100.0/24, 10.244.0.0/16 and 10.96.0.0/16 are free")
