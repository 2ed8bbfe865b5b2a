"""Quotes: which routes a payment can take, what each hop moves and costs, and why a link was left out."""

from bisect import bisect_left
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice

from plm.domain.errors import Code, Refused
from plm.domain.fees import hop_amounts
from plm.domain.graph import Graph
from plm.domain.orders import HOPS_MAX, Hop
from plm.domain.routing import Path, Router

# Paths looked at for one quote: more than K, because one may turn out too small once fees are added.
CANDIDATES_MAX = 64
ROUTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Ban:
    """What an attempt has found dead: nodes by id, links by their ends."""

    nodes: AbstractSet[str] = frozenset()
    links: AbstractSet[tuple[str, str]] = frozenset()

    def reason(self, link: tuple[str, str]) -> str:
        """Why a link is out, or an empty string."""
        for node in link:
            if node in self.nodes:
                return f"node {node} is left out"
        return "the link is left out" if link in self.links else ""


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a route, explained."""

    hop: Hop
    fee: int  # minor units; the first link's is not paid
    entropy_bits: float
    weight: int  # W × 10^6


@dataclass(frozen=True, slots=True)
class Route:
    """A way to pay."""

    steps: tuple[Step, ...]
    weight: int  # W × 10^6, all links

    @property
    def nodes(self) -> tuple[str, ...]:
        """The route's nodes in order."""
        return self.steps[0].hop.from_node, *(step.hop.to_node for step in self.steps)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """What the ledger and the nodes need to know."""
        return tuple(step.hop for step in self.steps)

    @property
    def fee(self) -> int:
        """What the sender pays beyond the amount, minor units."""
        return sum(step.fee for step in self.steps[1:])


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A link that no route may take, and why."""

    from_node: str
    to_node: str
    reason: str


class Quoter:
    """Quotes over one version of the graph. Keeps its routers: the next payment to the same target is cheap."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._ends = [(edge.source, edge.target) for edge in graph.edges]
        self._routers: dict[int, Router] = {}
        self._shortest: Router | None = None  # by hops alone
        # Ascending volumes: what is too small for an amount is a slice, not a search.
        ranked = sorted((edge.link.liquidity_volume, each) for each, edge in enumerate(graph.edges))
        self._volumes = [volume for volume, _ in ranked]
        self._by_volume = [edge_id for _, edge_id in ranked]

    def routes(
        self, from_node: str, to_node: str, amount: int, *, k: int = 3, ban: Ban | None = None
    ) -> list[Route]:
        """Up to k routes that can carry the amount and its fees, best first. Raises Refused(unknown_node)."""
        return list(
            self._feasible(from_node, to_node, amount, k, self._banned(amount, ban or Ban()))
        )

    def disjoint_routes(
        self, from_node: str, to_node: str, amount: int, *, k: int = 3, ban: Ban | None = None
    ) -> list[Route]:
        """Up to k routes no two of which share a link: each the best that remains beside those before it."""
        banned = self._banned(amount, ban or Ban())
        found: list[Route] = []
        while len(found) < k:
            best = self._feasible(from_node, to_node, amount, 1, banned)
            if not best:
                break
            found.append(best[0])
            taken = {(step.hop.from_node, step.hop.to_node) for step in best[0].steps}
            banned |= {
                edge_id for edge_id, edge in enumerate(self.graph.edges) if edge.link.key in taken
            }
        return found

    def left_out(self, amount: int, ban: Ban | None = None) -> list[LeftOut]:
        """Every link that cannot be taken for this amount, and why."""
        ban = ban or Ban()
        found = []
        for edge in self.graph.edges:
            reason = ban.reason(edge.link.key)
            if not reason and edge.link.liquidity_volume < amount:
                reason = f"volume {edge.link.liquidity_volume} is below the amount {amount}"
            if reason:
                found.append(LeftOut(edge.link.from_node, edge.link.to_node, reason))
        return found

    def _feasible(
        self, from_node: str, to_node: str, amount: int, k: int, banned: AbstractSet[int]
    ) -> list[Route]:
        ends = self._number(from_node), self._number(to_node)
        found: list[Route] = []
        was_too_long = False
        for path in islice(self._router(amount).paths(*ends, banned), CANDIDATES_MAX):
            was_too_long |= len(path.edges) > HOPS_MAX
            # A hop carries the fees behind it too: only the whole path tells whether its links are large enough.
            route = self._route(path, amount)
            if route is not None:
                found.append(route)
            if len(found) == k:
                break
        if was_too_long and not found:
            # By hops none that is too long comes before one that is not, however many cheap ones there are.
            paths = islice(self._by_hops().paths(*ends, banned), CANDIDATES_MAX)
            short = [route for path in paths if (route := self._route(path, amount)) is not None]
            found = sorted(short, key=lambda route: route.weight)[:k]
        return found

    def _number(self, node_id: str) -> int:
        number = self.graph.number.get(node_id)
        if number is None:
            raise Refused(Code.UNKNOWN_NODE, f"no node {node_id!r} in the mesh")
        return number

    def _router(self, amount: int) -> Router:
        key = amount if self.graph.is_proportional else 0
        router = self._routers.get(key)
        if router is None:
            if len(self._routers) >= ROUTERS_MAX:
                self._routers.pop(next(iter(self._routers)))
            router = Router(len(self.graph.nodes), self._ends, self.graph.weights(amount))
            self._routers[key] = router
        return router

    def _by_hops(self) -> Router:
        if self._shortest is None:
            self._shortest = Router(len(self.graph.nodes), self._ends, [0] * len(self._ends))
        return self._shortest

    def _banned(self, amount: int, ban: Ban) -> AbstractSet[int]:
        banned = set(self._by_volume[: bisect_left(self._volumes, amount)])
        if ban.nodes or ban.links:
            banned |= {
                edge_id
                for edge_id, edge in enumerate(self.graph.edges)
                if ban.reason(edge.link.key)
            }
        return banned

    def _route(self, path: Path, amount: int) -> Route | None:
        graph = self.graph
        if len(path.edges) > HOPS_MAX:
            return None
        fees = [graph.fee(edge_id, amount) for edge_id in path.edges]
        steps = []
        for edge_id, fee, moved in zip(path.edges, fees, hop_amounts(amount, fees), strict=True):
            edge = graph.edges[edge_id]
            link = edge.link
            if link.liquidity_volume < moved:
                return None
            hop = Hop(link.from_node, link.to_node, moved, link.policy)
            steps.append(
                Step(hop, fee, graph.entropies[edge.source], graph.weight(edge_id, amount))
            )
        return Route(tuple(steps), sum(step.weight for step in steps))
