"""K = 3 loopless paths beside networkx and igraph, on random meshes and on the Lightning network of 2021.

Warm: targets that were asked for before, as most are between two versions of the graph. Cold: a new router each time,
so the tree of distances is part of the bill. The peers keep nothing between queries; they get their graph ready-made.
What they do more: networkx takes any weight function, igraph any graph; neither promises an order among equal costs,
networkx has no parallel links. Weights are integers below 2^53, so that igraph's doubles are exact.
"""

import csv
import os
import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import igraph
import networkx as nx
from plm.domain.fees import link_fee
from plm.domain.routing import Router

from bench.harness import AGAIN, OURS, PAR, Case, Contender, Ratio, Report, Row, race

K = 3
SEED = 2021
REPEATS = 5
LINKS_PER_NODE = 6
WEIGHT_MAX = 10**9
LIGHTNING_AMOUNT = 50_000_000  # millisatoshi

Query = tuple[int, int]


@dataclass
class Mesh:
    """One graph in three forms, and the queries."""

    name: str
    node_count: int
    ends: list[Query]
    weights: list[int]
    queries: list[Query]

    def ours(self, *, is_warm: bool) -> Contender:
        """Costs of our K paths by number of query."""
        router = Router(self.node_count, self.ends, self.weights)

        def forget() -> None:
            nonlocal router
            router = Router(self.node_count, self.ends, self.weights)

        def ask(number: int) -> list[int]:
            return [path.weight for path in islice(router.paths(*self.queries[number]), K)]

        if not is_warm:
            return Contender(ask, forget)
        for number in range(len(self.queries)):
            ask(number)
        return Contender(ask)

    def igraph(self) -> Contender:
        """The same by igraph."""
        graph = igraph.Graph(self.node_count, self.ends, directed=True)
        graph.es["weight"] = self.weights

        def ask(number: int) -> list[int]:
            source, target = self.queries[number]
            paths = graph.get_k_shortest_paths(
                source, target, k=K, weights="weight", output="epath"
            )
            return [sum(self.weights[edge] for edge in path) for path in paths]

        return Contender(ask)

    def networkx(self) -> Contender:
        """The same by networkx."""
        graph = nx.DiGraph()
        for (source, target), weight in zip(self.ends, self.weights, strict=True):
            graph.add_edge(source, target, weight=weight)

        def ask(number: int) -> list[int]:
            paths = nx.shortest_simple_paths(graph, *self.queries[number], weight="weight")
            return [nx.path_weight(graph, path, "weight") for path in islice(paths, K)]

        return Contender(ask)


def random_mesh(node_count: int, query_count: int) -> Mesh:
    """A ring, so that all can reach all, and links at random; none parallel, for networkx's sake."""
    chance = random.Random(SEED + node_count)
    ends = {(node, (node + 1) % node_count) for node in range(node_count)}
    while len(ends) < node_count * LINKS_PER_NODE:
        source, target = chance.sample(range(node_count), 2)
        ends.add((source, target))
    weights = [chance.randint(1, WEIGHT_MAX) for _ in ends]
    queries = []
    for _ in range(query_count):
        source, target = chance.sample(range(node_count), 2)
        queries.append((source, target))
    return Mesh(f"{node_count} nodes", node_count, sorted(ends), weights, queries)


def lightning_mesh(folder: Path, query_count: int) -> Mesh:
    """The largest part of the real network whose nodes all reach one another; of parallel links the cheapest."""
    cheapest: dict[Query, int] = {}
    with (folder / "edges.csv").open() as file:
        for row in csv.DictReader(file):
            if int(row["balance"]) < LIGHTNING_AMOUNT:
                continue
            ends = int(row["from_node_id"]), int(row["to_node_id"])
            fee = link_fee(int(row["fee_base"]), int(row["fee_proportional"]), LIGHTNING_AMOUNT)
            cheapest[ends] = min(fee, cheapest.get(ends, fee))
    node_count = max(max(ends) for ends in cheapest) + 1
    order = sorted(cheapest)
    graph = igraph.Graph(node_count, order, directed=True)
    parts: list[list[int]] = list(graph.connected_components("strong"))
    members = max(parts, key=len)
    chance = random.Random(SEED)
    queries = []
    for _ in range(query_count):
        source, target = chance.sample(members, 2)
        queries.append((source, target))
    name = f"Lightning 2021, {len(members)} nodes reach one another, {len(order)} links"
    return Mesh(name, node_count, order, [cheapest[ends] for ends in order], queries)


def run() -> Report:
    """All meshes, warm and cold."""
    cases = []
    cases += compare(random_mesh(50, 200), {"networkx": 15.0, "igraph": 2.5}, {"igraph": PAR})
    cases += compare(random_mesh(500, 60), {"networkx": None, "igraph": 10.0}, {"igraph": PAR})
    notes = [
        f"K = {K}, CPU microseconds per query, {REPEATS} repeats; lowest and highest: medians of a repeat"
    ]
    folder = os.environ.get("PLM_LIGHTNING_DIR")
    if folder and (Path(folder) / "edges.csv").exists():
        mesh = lightning_mesh(Path(folder), 8)
        cases += compare(mesh, {"networkx": None, "igraph": None}, {"igraph": PAR})
    else:
        notes.append("No Lightning graph: set PLM_LIGHTNING_DIR to a folder with its edges.csv")
    return Report("router", cases, ["networkx", "igraph"], notes)


def compare(mesh: Mesh, warm: dict[str, float | None], cold: dict[str, float | None]) -> list[Case]:
    """The two cases of one mesh. Raises AssertionError when anybody's costs differ."""
    peers = {"networkx": mesh.networkx(), "igraph": mesh.igraph()}
    contenders = {OURS: mesh.ours(is_warm=True), **peers, AGAIN: mesh.ours(is_warm=True)}
    for number in range(len(mesh.queries)):
        costs = {name: each.run(number) for name, each in contenders.items()}
        assert all(found == costs[OURS] for found in costs.values()), (number, costs)
    warm_rows = race(contenders, len(mesh.queries), REPEATS)
    chilled = {
        OURS: mesh.ours(is_warm=False),
        "igraph": peers["igraph"],
        AGAIN: mesh.ours(is_warm=False),
    }
    cold_rows = race(chilled, len(mesh.queries), REPEATS)
    return [
        _case(f"{mesh.name}, warm", warm_rows, warm),
        _case(f"{mesh.name}, cold", cold_rows, cold),
    ]


def _case(name: str, rows: list[Row], floors: dict[str, float | None]) -> Case:
    by_name = {row.name: row for row in rows}
    ratios = [
        Ratio(f"{peer} / ours, p50", by_name[peer].p50 / by_name[OURS].p50, floor)
        for peer, floor in floors.items()
    ]
    slowest_ms = by_name[OURS].p99 / 1_000
    return Case(name, "µs", rows, ratios, f"ours p99: {slowest_ms:.3f} ms")
