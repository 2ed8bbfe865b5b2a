"""Requests and limits of everything that runs, by profile, and the budget that they must fit. Memory in MiB."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What kubelet, API server and the other daemons of the embedded cluster take, and a shim beside each pod.
CLUSTER_MIB = 900
SHIM_MIB = 14


@dataclass(frozen=True)
class Size:
    """What one pod asks for and what it may take."""

    cpu_millis: int
    memory_mib: int
    memory_mib_max: int

    def resources(self) -> dict[str, Any]:
        """As Kubernetes writes it. No limit on cores: a throttled writer holds a lock for longer."""
        return {
            "requests": {"cpu": f"{self.cpu_millis}m", "memory": f"{self.memory_mib}Mi"},
            "limits": {"memory": f"{self.memory_mib_max}Mi"},
        }


@dataclass(frozen=True)
class Profile:
    """Sizes of one profile, how many pods of each, and what all of it must fit."""

    sizes: Mapping[str, Size]
    replicas: Mapping[str, int]
    volumes_mib: Mapping[str, int]
    cpu_millis_budget: int
    memory_mib_budget: int

    def size(self, name: str) -> Size:
        """The size of a workload."""
        return self.sizes[name]

    def memory_mib(self) -> int:
        """What all pods ask for, their shims and the cluster included."""
        pods = sum(self.replicas.values())
        asked = sum(self.sizes[name].memory_mib * count for name, count in self.replicas.items())
        return CLUSTER_MIB + SHIM_MIB * pods + asked

    def cpu_millis(self) -> int:
        """What all pods ask for."""
        return sum(self.sizes[name].cpu_millis * count for name, count in self.replicas.items())


PROFILES: Mapping[str, Profile] = {
    "tiny": Profile(
        sizes={
            "postgres": Size(100, 192, 512),
            "nats": Size(50, 64, 256),
            "edge": Size(50, 48, 128),
            "operator": Size(50, 96, 256),
            "ledger": Size(100, 112, 512),
            "gateway": Size(100, 112, 384),
            "migrate": Size(10, 64, 192),
            "mesh-node": Size(10, 64, 160),
        },
        replicas={
            "postgres": 1,
            "nats": 1,
            "edge": 1,
            "operator": 1,
            "ledger": 1,
            "gateway": 1,
            "migrate": 1,
            "mesh-node": 4,
        },
        volumes_mib={"postgres": 4096, "nats": 1024},
        cpu_millis_budget=2000,
        memory_mib_budget=4096,
    )
}


def profile_of(name: str) -> Profile:
    """The profile of this name. Raises ValueError."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"plm:profile is {name!r}; known are {', '.join(PROFILES)}") from None
