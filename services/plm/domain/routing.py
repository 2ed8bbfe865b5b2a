"""K shortest loopless paths in a canonical order: Yen's algorithm with Lawler's partition and postponed search.

Costs are composite: an edge's weight, a one that counts hops, and room for a node's number. So fewer hops win on equal
weight, no cycle costs nothing, and a distance plus its node is one integer.
Order: (cost, hops, edge ids). Every replica returns the same paths, bit for bit. A tree of exact distances to the
target serves every source and every spur; leaving links out only raises distances, so the tree stays a lower bound.
Sources: Yen 1971; Lawler 1972; Hart, Nilsson and Raphael 1968 for the search around what is blocked.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

UNREACHABLE = 1 << 256
TREES_MAX = 512
_NONE: frozenset[int] = frozenset()
_Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """One path: its edges, its nodes, and the sum of its weights."""

    edges: _Ids
    nodes: _Ids
    weight: int


# Cost, or a lower bound of it; 0 for a bound and 1 for a path, so that bounds are resolved before an equal path is
# emitted; what decides among equals: a path's edges, a bound's number; edges and nodes of the path, or of the path that
# a bound leaves; the place where it leaves; cost up to there; edges banned there. Candidates never overlap.
_Candidate = tuple[int, int, _Ids, _Ids, _Ids, int, int, frozenset[int]]


class Router:
    """Paths over one set of weights. Trees are kept, so ask for the same target again."""

    def __init__(
        self, node_count: int, ends: Sequence[tuple[int, int]], weights: Sequence[int]
    ) -> None:
        self._bits = node_count.bit_length()
        self._targets = [target for _, target in ends]
        # One object for each weight, and one for each pair below: a node's links mostly cost the same, and on a large
        # graph the time of a tree is spent on waiting for memory.
        cost_of = {weight: (weight << 2 * self._bits) + (1 << self._bits) for weight in weights}
        self._costs = [cost_of[weight] for weight in weights]
        self._out: list[list[tuple[int, int]]] = [[] for _ in range(node_count)]
        self._in: list[list[tuple[int, int]]] = [[] for _ in range(node_count)]
        pairs: dict[tuple[int, int], tuple[int, int]] = {}
        entered = set(self._targets)
        for edge, ((source, target), cost) in enumerate(zip(ends, self._costs, strict=True)):
            self._out[source].append((edge, target))
            # A node that no link leads to is never passed, so nobody asks for its distance.
            if source in entered:
                pair = source, cost
                self._in[target].append(pairs.setdefault(pair, pair))
        self._trees: dict[int, _Tree] = {}

    def paths(self, source: int, target: int, banned: AbstractSet[int] = _NONE) -> Iterator[Path]:
        """Loopless paths that use no banned edge, best first, for ever as long as there are more."""
        if source == target:
            return
        search = _Search(self._tree(target), self._costs, self._targets, target, banned)
        heap = search.heap
        heap.append((0, 0, (), (), (source,), 0, 0, _NONE))
        while heap:
            candidate = heappop(heap)
            if not candidate[1]:
                search.resolve(candidate)
                continue
            yield Path(candidate[2], candidate[4], candidate[0] >> 2 * self._bits)
            search.partition(candidate)

    def _tree(self, target: int) -> "_Tree":
        tree = self._trees.get(target)
        if tree is None:
            if len(self._trees) >= TREES_MAX:
                self._trees.pop(next(iter(self._trees)))
            tree = self._trees[target] = _Tree(self._out, self._costs, self._distances(target))
        return tree

    def _distances(self, target: int) -> list[int]:
        """Exact distance to the target from every node that a link leads to, by one Dijkstra over incoming edges.

        The heap holds each distance with its node in the low bits: integers compare faster than pairs.
        """
        incoming = self._in
        lowest = [UNREACHABLE] * len(incoming)
        lowest[target] = 0
        heap = [target]
        nodes = (1 << self._bits) - 1
        while heap:
            key = heappop(heap)
            node = key & nodes
            distance = key - node
            if distance != lowest[node]:
                continue
            for source, cost in incoming[node]:
                through = distance + cost
                if through < lowest[source]:
                    lowest[source] = through
                    heappush(heap, through + source)
        return lowest


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
                [
                    (costs[edge] + distances[target], edge, target)
                    for edge, target in self._out[node]
                    if distances[target] < UNREACHABLE
                ]
            )
        return ranked


class _Search:
    """One query: what is banned for all of it, and the candidates found so far."""

    def __init__(
        self,
        tree: _Tree,
        costs: list[int],
        ends: list[int],
        target: int,
        banned: AbstractSet[int],
    ) -> None:
        self.heap: list[_Candidate] = []
        self._ways = tree.ways
        self._costs = costs
        self._ends = ends
        self._target = target
        self._banned = banned
        self._tickets = count()

    def partition(self, path: _Candidate) -> None:
        """Split what remains beside a path: one bound per place where it may be left, none of which overlap."""
        _, _, edges, _, nodes, start, cost, bans = path
        banned, costs, ways = self._banned, self._costs, self._ways
        visited = set(nodes[:start])
        for place in range(start, len(edges)):
            edge, node = edges[place], nodes[place]
            visited.add(node)
            bans |= {edge}
            for through, way, following in ways(node):
                if way not in bans and following not in visited and way not in banned:
                    order = (next(self._tickets),)
                    heappush(self.heap, (cost + through, 0, order, edges, nodes, place, cost, bans))
                    break
            cost += costs[edge]
            bans = _NONE

    def resolve(self, bound: _Candidate) -> None:
        """Replace a bound by the path it stands for, if there is one: the tree's where that is free, else searched."""
        _, _, _, edges, nodes, place, prefix_cost, bans = bound
        edges, nodes = edges[:place], nodes[: place + 1]
        found = self._walk(edges, nodes, bans) or self._detour(edges, nodes, bans)
        if found is not None:
            cost, edges, nodes = found
            path = (prefix_cost + cost, 1, edges, edges, nodes, place, prefix_cost, bans)
            heappush(self.heap, path)

    def _walk(
        self, edges: _Ids, nodes: _Ids, bans: frozenset[int]
    ) -> tuple[int, _Ids, _Ids] | None:
        """Take the best free way, then each node's best; None where that meets what is blocked or banned."""
        ways, banned, target = self._ways, self._banned, self._target
        for through, edge, node in ways(nodes[-1]):
            if edge not in bans and node not in nodes and edge not in banned:
                cost = through
                break
        else:
            return None
        more_edges, more_nodes = [edge], [node]
        while node != target:
            _, edge, node = ways(node)[0]
            if node in nodes or edge in banned:
                return None
            more_edges.append(edge)
            more_nodes.append(node)
        return cost, (*edges, *more_edges), (*nodes, *more_nodes)

    def _detour(
        self, edges: _Ids, nodes: _Ids, bans: frozenset[int]
    ) -> tuple[int, _Ids, _Ids] | None:
        """A* around what is blocked, with the tree as its estimate; of a node's ways only the next best waits.

        Equal costs mean equal hops, so the order of (estimate, edges) settles each node by its canonical path first.
        """
        costs, banned, target = self._costs, self._banned, self._target
        settled = set(nodes)
        waiting: list[tuple[int, _Ids, _Ids, int, Iterator[tuple[int, int, int]]]] = []

        def advance(
            edges: _Ids, nodes: _Ids, cost: int, ways: Iterator[tuple[int, int, int]]
        ) -> None:
            for through, edge, following in ways:
                if following not in settled and edge not in banned and edge not in bans:
                    heappush(waiting, (cost + through, (*edges, edge), nodes, cost, ways))
                    return

        advance(edges, nodes, 0, iter(self._ways(nodes[-1])))
        while waiting:
            estimate, reached, nodes, cost, ways = heappop(waiting)
            # The next best way of the same node takes this one's place.
            advance(reached[:-1], nodes, cost, ways)
            node = self._ends[reached[-1]]
            if node in settled:
                continue
            further = (*nodes, node)
            if node == target:
                return estimate, reached, further
            settled.add(node)
            advance(reached, further, cost + costs[reached[-1]], iter(self._ways(node)))
        return None
