"""Nodes and links of the mesh as the ledger keeps them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """What the owner of a link asks for it."""

    base_fee: int  # minor units
    fee_rate_ppm: int = 0
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class Registration:
    """Which state of which custom resource a record reflects."""

    object_uid: str
    generation: int

    def is_older_than(self, known: "Registration") -> bool:
        """Whether a registration comes too late. A new object starts counting anew, so only equal uids compare."""
        return self.object_uid == known.object_uid and self.generation < known.generation


@dataclass(frozen=True, slots=True)
class Link:
    """A declared link and the money that can still move over it."""

    from_node: str
    to_node: str
    policy: LinkPolicy
    declared_volume: int  # minor units
    registration: Registration
    version: int
    currency: str
    enabled: bool = True
    liquidity_volume: int = 0  # posted balance minus open holds, minor units

    @property
    def key(self) -> tuple[str, str]:
        """From and to: a link is declared once."""
        return self.from_node, self.to_node


@dataclass(frozen=True, slots=True)
class Node:
    """A registered node."""

    node_id: str
    role: str
    currency: str
    registration: Registration
    version: int
    enabled: bool = True
    links: tuple[Link, ...] = field(default=())
