"""K shortest loopless paths in a canonical order: Yen's algorithm with Lawler's partition and postponed search.

Costs are composite: weight × 2^s + 1 per edge, so that fewer hops win on equal weight and no cycle costs nothing.
Order: (cost, hops, edge ids). Every replica returns the same paths, bit for bit. A tree of exact distances to the
target serves every source and every spur; leaving links out only raises distances, so the tree stays a lower bound.
Sources: Yen 1971; Lawler 1972.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

UNREACHABLE = 1 << 256
# What a node's row holds: edge id, the node at the other end, composite cost.
Arc = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Path:
    """One path: its edges, its nodes, and the sum of its weights."""

    edges: tuple[int, ...]
    nodes: tuple[int, ...]
    weight: int


class Router:
    """Paths over one set of weights. Trees are kept, so ask for the same target again."""

    def __init__(
        self, node_count: int, ends: Sequence[tuple[int, int]], weights: Sequence[int]
    ) -> None:
        self._shift = max(12, node_count.bit_length())
        self._out: list[list[Arc]] = [[] for _ in range(node_count)]
        self._in: list[list[Arc]] = [[] for _ in range(node_count)]
        for edge, ((source, target), weight) in enumerate(zip(ends, weights, strict=True)):
            cost = (weight << self._shift) + 1
            self._out[source].append((edge, target, cost))
            self._in[target].append((edge, source, cost))
        self._trees: dict[int, list[int]] = {}

    def paths(
        self, source: int, target: int, banned: AbstractSet[int] = frozenset()
    ) -> Iterator[Path]:
        """Loopless paths that use no banned edge, best first, for ever as long as there are more."""
        if source == target:
            return
        distances = self._tree(target)
        search = _Search(self._out, self._in, distances, target, banned)
        heap: list[_Candidate] = []
        search.push(heap, 0, (), (source,), 0, frozenset())
        while heap:
            cost, is_exact, edges, _, nodes, deviation, first_banned, prefix_cost = heappop(heap)
            if not is_exact:
                search.push_exact(heap, prefix_cost, edges, nodes, deviation, first_banned)
                continue
            yield Path(edges, nodes, cost >> self._shift)
            search.partition(heap, edges, nodes, deviation, first_banned)

    def _tree(self, target: int) -> list[int]:
        """Exact distance to the target from every node, by one Dijkstra over incoming edges."""
        known = self._trees.get(target)
        if known is not None:
            return known
        distances = [UNREACHABLE] * len(self._in)
        distances[target] = 0
        heap = [(0, target)]
        incoming = self._in
        while heap:
            distance, node = heappop(heap)
            if distance > distances[node]:
                continue
            for _, source, cost in incoming[node]:
                through = distance + cost
                if through < distances[source]:
                    distances[source] = through
                    heappush(heap, (through, source))
        self._trees[target] = distances
        return distances


# Cost; 0 for a lower bound and 1 for an exact path, so that bounds are resolved before an equal path is emitted; edges
# (for a bound: the prefix only); a tie-breaker that is never equal; nodes; index of deviation; edges banned there; cost
# of the prefix.
_Candidate = tuple[int, int, tuple[int, ...], int, tuple[int, ...], int, frozenset[int], int]


class _Search:
    """One query: what is banned for all of it, and how candidates are made."""

    def __init__(
        self,
        out: list[list[Arc]],
        into: list[list[Arc]],
        distances: list[int],
        target: int,
        banned: AbstractSet[int],
    ) -> None:
        self._out = out
        self._in = into
        self._distances = distances
        self._target = target
        self._banned = banned
        self._ticket = count()

    def partition(
        self,
        heap: list[_Candidate],
        edges: tuple[int, ...],
        nodes: tuple[int, ...],
        deviation: int,
        first_banned: frozenset[int],
    ) -> None:
        """Split what remains beside a path into sets that do not overlap: one per place where it may be left."""
        cost = 0
        for place, edge in enumerate(edges):
            if place >= deviation:
                bans = frozenset((edge,))
                if place == deviation:
                    bans |= first_banned
                self.push(heap, cost, edges[:place], nodes[: place + 1], place, bans)
            node = nodes[place]
            for each, _, step in self._out[node]:
                if each == edge:
                    cost += step
                    break

    def push(
        self,
        heap: list[_Candidate],
        prefix_cost: int,
        edges: tuple[int, ...],
        nodes: tuple[int, ...],
        deviation: int,
        first_banned: frozenset[int],
    ) -> None:
        """Add the best path behind a prefix: exact where the tree's path is free, else its lower bound."""
        distances, banned = self._distances, self._banned
        best, first, node = UNREACHABLE, -1, -1
        for edge, target, cost in self._out[nodes[-1]]:
            through = cost + distances[target]
            if (
                through < best
                and edge not in first_banned
                and edge not in banned
                and target not in nodes
            ):
                best, first, node = through, edge, target
        if best >= UNREACHABLE:
            return
        walked = self._walk(node, nodes)
        total = prefix_cost + best
        if walked is None:
            heappush(
                heap,
                (total, 0, edges, next(self._ticket), nodes, deviation, first_banned, prefix_cost),
            )
            return
        more_edges, more_nodes = walked
        path = (*edges, first, *more_edges)
        heappush(
            heap,
            (total, 1, path, next(self._ticket), (*nodes, *more_nodes), deviation, first_banned, 0),
        )

    def _walk(self, node: int, blocked: tuple[int, ...]) -> tuple[list[int], list[int]] | None:
        """Follow tight edges of smallest id to the target; None where that meets what is blocked or banned."""
        distances, out, banned, target = self._distances, self._out, self._banned, self._target
        edges: list[int] = []
        nodes = [node]
        while node != target:
            left = distances[node]
            for edge, following, cost in out[node]:
                if cost + distances[following] == left:
                    break
            if following in blocked or edge in banned:
                return None
            edges.append(edge)
            nodes.append(following)
            node = following
        return edges, nodes

    def push_exact(
        self,
        heap: list[_Candidate],
        prefix_cost: int,
        edges: tuple[int, ...],
        nodes: tuple[int, ...],
        deviation: int,
        first_banned: frozenset[int],
    ) -> None:
        """Replace a lower bound by the path it stands for, if there is one: a search around what is blocked."""
        spur = nodes[-1]
        distances = self._search(spur, nodes[:-1], first_banned)
        if spur not in distances:
            return
        more_edges, more_nodes = [], []
        node = spur
        while node != self._target:
            left = distances[node]
            for edge, following, cost in self._out[node]:
                is_free = edge not in self._banned and (node != spur or edge not in first_banned)
                if is_free and distances.get(following, UNREACHABLE) + cost == left:
                    break
            more_edges.append(edge)
            more_nodes.append(following)
            node = following
        total = prefix_cost + distances[spur]
        path = (*edges, *more_edges)
        heappush(
            heap,
            (total, 1, path, next(self._ticket), (*nodes, *more_nodes), deviation, first_banned, 0),
        )

    def _search(
        self, spur: int, blocked: tuple[int, ...], first_banned: frozenset[int]
    ) -> dict[int, int]:
        """Distances to the target of every node settled before the spur, around blocked nodes and banned edges."""
        settled: dict[int, int] = {}
        reached = {self._target: 0}
        heap = [(0, self._target)]
        while heap:
            distance, node = heappop(heap)
            if node in settled:
                continue
            settled[node] = distance
            if node == spur:
                break
            for edge, source, cost in self._in[node]:
                if (
                    source in blocked
                    or edge in self._banned
                    or (source == spur and edge in first_banned)
                ):
                    continue
                through = distance + cost
                if through < reached.get(source, UNREACHABLE):
                    reached[source] = through
                    heappush(heap, (through, source))
        return settled
