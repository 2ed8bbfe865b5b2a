"""What facts mean: one sentence each, and the cure. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from plmkit.doctor.facts import Facts

PYTHON_MIN = (3, 11)
GO_MIN = (1, 26)
# Modules, build cache and tools from nothing; images; and what a stack writes.
BUILD_FREE_MIB = 14_000
CACHE_FREE_MIB = 2_000
STATE_FREE_MIB = 3_000
MEMORY_MIB = 4_096
_MEMORY_TO_BUILD_MIB = 6_144


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
    checks: list[Callable[[Facts], Finding]] = [_python, _go, _debian, _disk, _memory]
    if is_embedded:
        checks += [_root, _kernel, _control_groups, _routes]
    return [check(facts) for check in checks]


def _python(facts: Facts) -> Finding:
    version = ".".join(str(part) for part in facts.python)
    if facts.python < PYTHON_MIN:
        return Finding("python", f"Python is {version}, 3.11 is needed", "apt-get install python3")
    return Finding("python", f"Python {version}")


def _go(facts: Facts) -> Finding:
    wanted = ".".join(str(part) for part in GO_MIN)
    numbers = [part for part in facts.go.removeprefix("go").split(".")[:2] if part.isdigit()]
    if tuple(int(part) for part in numbers) < GO_MIN:
        found = facts.go or "missing"
        return Finding(
            "go", f"Go is {found}, {wanted} is needed to build the tools",
            f"install Go {wanted} or newer and put it on PATH: https://go.dev/dl",
        )  # fmt: skip
    return Finding("go", f"Go {facts.go.removeprefix('go')}")


def _debian(facts: Facts) -> Finding:
    if not facts.is_debian:
        return Finding(
            "debian", "this is no Debian: packages cannot be installed",
            "use Debian 12, or plm up --context NAME from there",
        )  # fmt: skip
    return Finding("debian", "packages come from Debian")


def _disk(facts: Facts) -> Finding:
    needed = CACHE_FREE_MIB if facts.tools_are_built else BUILD_FREE_MIB
    if facts.cache_free_mib < needed:
        return Finding(
            "disk", f"the cache's disk has {facts.cache_free_mib} MiB free, {needed} are needed",
            "free space, or set PLM_CACHE_DIR to another disk",
        )  # fmt: skip
    if facts.state_free_mib < STATE_FREE_MIB:
        return Finding(
            "disk",
            f"the state's disk has {facts.state_free_mib} MiB free, {STATE_FREE_MIB} are needed",
            "free space, or set PLM_STATE_DIR to another disk",
        )
    return Finding("disk", f"{facts.cache_free_mib} MiB free")


def _memory(facts: Facts) -> Finding:
    needed = MEMORY_MIB if facts.tools_are_built else _MEMORY_TO_BUILD_MIB
    if facts.memory_available_mib < needed:
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
        return Finding("kernel", f"the kernel lacks {names}", f"modprobe -a {names}")
    return Finding("kernel", "overlay, bridge filter, nftables and veth are there")


def _control_groups(facts: Facts) -> Finding:
    if facts.missing_controllers:
        names = ", ".join(facts.missing_controllers)
        return Finding(
            "cgroups", f"control groups lack {names}",
            "boot with cgroup_enable=memory, and mount cgroups (systemd does)",
        )  # fmt: skip
    return Finding("cgroups", "cpu, memory and pids are controlled")


def _routes(facts: Facts) -> Finding:
    if facts.routes_elsewhere:
        return Finding(
            "addresses", f"the machine already uses {', '.join(facts.routes_elsewhere)}",
            "free these ranges, or plm up --context NAME for another cluster",
        )  # fmt: skip
    if facts.cluster_owner:
        return Finding("addresses", f"held by the cluster of {facts.cluster_owner}")
    return Finding("addresses", "198.51.100.0/24, 10.244.0.0/16 and 10.96.0.0/16 are free")
