"""The mesh as the router sees it: nodes by number, links by id, immutable, one object per version."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from plm.domain.fees import link_fee
from plm.domain.mesh import Link

# Weights are integers, W × 10^6: floats make replicas disagree.
WEIGHT_SCALE = 1_000_000


class Entropy(StrEnum):
    """How H is counted: in bits, or as a share of what the node's number of links allows."""

    RAW = "raw"
    NORMALISED = "normalised"


def entropy_bits(volumes: Sequence[int], kind: Entropy = Entropy.RAW) -> float:
    """Shannon entropy of volumes as shares of their sum; 0 for one link, none, or no money at all."""
    total = sum(volumes)
    if len(volumes) < 2 or total <= 0:  # noqa: PLR2004 - one link leaves no choice
        return 0.0
    shares = [volume / total for volume in volumes if volume > 0]
    bits = -sum(share * math.log2(share) for share in shares)
    return bits / math.log2(len(volumes)) if kind is Entropy.NORMALISED else max(bits, 0.0)


@dataclass(frozen=True, slots=True)
class Edge:
    """A link between numbered nodes. Its id is its place in Graph.edges: distinct for parallel links."""

    source: int
    target: int
    link: Link


class Graph:
    """Numbered nodes and links. Edge ids ascend with (from, to, place in the input), so every replica agrees."""

    def __init__(
        self,
        node_ids: Iterable[str],
        links: Iterable[Link],
        *,
        version: int = 0,
        entropy: Entropy = Entropy.RAW,
    ) -> None:
        self.version = version
        self.nodes = sorted(node_ids)
        self.number = {node_id: number for number, node_id in enumerate(self.nodes)}
        known = [
            link
            for link in links
            if link.enabled and link.from_node in self.number and link.to_node in self.number
        ]
        known.sort(key=lambda link: link.key)
        self.edges = [
            Edge(self.number[link.from_node], self.number[link.to_node], link) for link in known
        ]
        self.outgoing: list[list[int]] = [[] for _ in self.nodes]
        for edge_id, edge in enumerate(self.edges):
            self.outgoing[edge.source].append(edge_id)
        self.entropies = [
            entropy_bits([self.edges[each].link.liquidity_volume for each in outgoing], entropy)
            for outgoing in self.outgoing
        ]
        self._factors = [round((1 + bits) * WEIGHT_SCALE) for bits in self.entropies]
        # Where a fee is a share of the amount, weights and trees differ from amount to amount.
        self.is_proportional = any(edge.link.policy.fee_rate_ppm for edge in self.edges)

    def fee(self, edge_id: int, amount: int) -> int:
        """Fee of a link for a payment of this amount, minor units."""
        policy = self.edges[edge_id].link.policy
        return link_fee(policy.base_fee, policy.fee_rate_ppm, amount)

    def weight(self, edge_id: int, amount: int) -> int:
        """W × 10^6 of a link for a payment of this amount: fee × (1 + H of the node it leaves)."""
        return self.fee(edge_id, amount) * self._factors[self.edges[edge_id].source]

    def weights(self, amount: int) -> list[int]:
        """Weights of all links by id."""
        return [self.weight(edge_id, amount) for edge_id in range(len(self.edges))]
