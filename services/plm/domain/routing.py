"""K shortest loopless paths in a canonical order: Yen's algorithm with Lawler's partition and postponed search.

Costs are composite: weight × 2^s + 1 per edge, so that fewer hops win on equal weight and no cycle costs nothing.
Order: (cost, hops, edge ids). Every replica returns the same paths, bit for bit. A tree of exact distances to the
target serves every source and every spur; leaving links out only raises distances, so the tree stays a lower bound.
Sources: Yen 1971; Lawler 1972; Hart, Nilsson and Raphael 1968 for the search around what is blocked.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

UNREACHABLE = 1 << 256
TREES_MAX = 512
_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Path:
    """One path: its edges, its nodes, and the sum of its weights."""

    edges: tuple[int, ...]
    nodes: tuple[int, ...]
    weight: int


class _Spur(NamedTuple):
    """All paths that begin alike and then leave by none of the banned edges."""

    cost: int
    edges: tuple[int, ...]
    nodes: tuple[int, ...]
    bans: frozenset[int]


# Cost; 0 for a lower bound and 1 for a path, so that bounds are resolved before an equal path is emitted; the path's
# edges and nodes (for a bound: the prefix's); the spur. Spurs do not overlap, so no two candidates have equal edges.
_Candidate = tuple[int, int, tuple[int, ...], tuple[int, ...], _Spur]


class Router:
    """Paths over one set of weights. Trees are kept, so ask for the same target again."""

    def __init__(
        self, node_count: int, ends: Sequence[tuple[int, int]], weights: Sequence[int]
    ) -> None:
        self._shift = max(12, node_count.bit_length())
        self._costs = [(weight << self._shift) + 1 for weight in weights]
        self._out: list[list[tuple[int, int]]] = [[] for _ in range(node_count)]
        self._in: list[list[tuple[int, int]]] = [[] for _ in range(node_count)]
        for edge, ((source, target), cost) in enumerate(zip(ends, self._costs, strict=True)):
            self._out[source].append((edge, target))
            self._in[target].append((source, cost))
        self._trees: dict[int, _Tree] = {}

    def paths(self, source: int, target: int, banned: AbstractSet[int] = _NONE) -> Iterator[Path]:
        """Loopless paths that use no banned edge, best first, for ever as long as there are more."""
        if source == target:
            return
        search = _Search(self._tree(target), self._costs, target, banned)
        search.add(_Spur(0, (), (source,), _NONE))
        heap = search.heap
        while heap:
            cost, is_path, edges, nodes, spur = heappop(heap)
            if not is_path:
                search.add_exact(spur)
                continue
            yield Path(edges, nodes, cost >> self._shift)
            search.partition(edges, nodes, spur)

    def _tree(self, target: int) -> "_Tree":
        tree = self._trees.get(target)
        if tree is None:
            if len(self._trees) >= TREES_MAX:
                self._trees.pop(next(iter(self._trees)))
            tree = self._trees[target] = _Tree(self._out, self._costs, self._distances(target))
        return tree

    def _distances(self, target: int) -> list[int]:
        """Exact distance to the target from every node, by one Dijkstra over incoming edges."""
        distances = [UNREACHABLE] * len(self._in)
        distances[target] = 0
        heap = [(0, target)]
        incoming = self._in
        while heap:
            distance, node = heappop(heap)
            if distance > distances[node]:
                continue
            for source, cost in incoming[node]:
                through = distance + cost
                if through < distances[source]:
                    distances[source] = through
                    heappush(heap, (through, source))
        return distances


class _Tree:
    """Every node's ways to one target, best first. A node's are ranked when they are first asked for."""

    def __init__(
        self, out: list[list[tuple[int, int]]], costs: list[int], distances: list[int]
    ) -> None:
        self._out = out
        self._costs = costs
        self._distances = distances
        self._ranked: list[list[tuple[int, int, int]] | None] = [None] * len(out)

    def ways(self, node: int) -> list[tuple[int, int, int]]:
        """Distance to the target over an edge, the edge, the node at its end; ways that lead nowhere left out."""
        ranked = self._ranked[node]
        if ranked is None:
            distances, costs = self._distances, self._costs
            ranked = self._ranked[node] = sorted(
                (costs[edge] + distances[target], edge, target)
                for edge, target in self._out[node]
                if distances[target] < UNREACHABLE
            )
        return ranked


class _Search:
    """One query: what is banned for all of it, and the candidates found so far."""

    def __init__(
        self, tree: _Tree, costs: list[int], target: int, banned: AbstractSet[int]
    ) -> None:
        self.heap: list[_Candidate] = []
        self._ways = tree.ways
        self._costs = costs
        self._target = target
        self._banned = banned

    def partition(self, edges: tuple[int, ...], nodes: tuple[int, ...], spur: _Spur) -> None:
        """Split what remains of a spur beside its best path: one new spur per place where that path may be left."""
        cost, start = spur.cost, len(spur.edges)
        bans = spur.bans
        for place in range(start, len(edges)):
            edge = edges[place]
            self.add(_Spur(cost, edges[:place], nodes[: place + 1], bans | {edge}))
            cost += self._costs[edge]
            bans = _NONE

    def add(self, spur: _Spur) -> None:
        """Add the best path of a spur: exact where the tree's path is free, else its lower bound."""
        cost, edges, nodes, bans = spur
        banned = self._banned
        for through, edge, node in self._ways(nodes[-1]):
            if edge not in bans and edge not in banned and node not in nodes:
                best = cost + through
                break
        else:
            return
        rest = self._walk(edge, node, nodes)
        if rest is None:
            heappush(self.heap, (best, 0, edges, nodes, spur))
        else:
            heappush(self.heap, (best, 1, (*edges, *rest[0]), (*nodes, *rest[1]), spur))

    def _walk(
        self, edge: int, node: int, blocked: tuple[int, ...]
    ) -> tuple[list[int], list[int]] | None:
        """Take an edge, then each node's best way; None where that meets what is blocked or banned."""
        ways, banned, target = self._ways, self._banned, self._target
        edges, nodes = [edge], [node]
        while node != target:
            _, edge, node = ways(node)[0]
            if node in blocked or edge in banned:
                return None
            edges.append(edge)
            nodes.append(node)
        return edges, nodes

    def add_exact(self, spur: _Spur) -> None:
        """Replace a lower bound by the path it stands for, if there is one: A* with the tree as its estimate.

        Equal costs mean equal hops, so the order of (estimate, edges) settles each node by its canonical path first.
        """
        prefix_cost, prefix_edges, prefix_nodes, bans = spur
        settled = set(prefix_nodes[:-1])
        open_ends = [(prefix_cost, prefix_edges, prefix_nodes, prefix_cost)]
        while open_ends:
            estimate, edges, nodes, cost = heappop(open_ends)
            node = nodes[-1]
            if node in settled:
                continue
            if node == self._target:
                heappush(self.heap, (estimate, 1, edges, nodes, spur))
                return
            settled.add(node)
            for through, edge, following in self._ways(node):
                if edge in bans or edge in self._banned or following in settled:
                    continue
                end = (
                    cost + through,
                    (*edges, edge),
                    (*nodes, following),
                    cost + self._costs[edge],
                )
                heappush(open_ends, end)
