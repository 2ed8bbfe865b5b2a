"""The router finds the K best loopless paths, in one order that every replica agrees on."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import igraph
import pytest
from plm.domain.routing import Router

GRAPHS = 1500
Ends = list[tuple[int, int]]
Found = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Case:
    """A random multigraph, a query, and what is banned in it."""

    node_count: int
    ends: Ends
    weights: list[int]
    source: int
    target: int
    banned: frozenset[int]


def random_case(seed: int, nodes_max: int, edges_max: int) -> Case:
    """Few distinct weights make ties; few nodes make parallel links; zero is a weight like any other."""
    random = Random(seed)  # noqa: S311 - a seeded generator, so that a failing graph has a name
    nodes = random.randint(2, nodes_max)
    pairs = [random.sample(range(nodes), 2) for _ in range(random.randint(1, edges_max))]
    ends = sorted((source, target) for source, target in pairs)
    weights = [random.choice((0, 0, 1, 1, 2, 3, 10**20)) for _ in ends]
    source, target = random.sample(range(nodes), 2)
    banned = frozenset(edge for edge in range(len(ends)) if random.random() < 0.15)
    return Case(nodes, ends, weights, source, target, banned)


def all_paths(case: Case) -> list[tuple[int, int, tuple[int, ...]]]:
    """Every loopless path as (weight, hops, edges), best first: by trying them all."""
    leaving: dict[int, list[tuple[int, int]]] = {}
    for edge, (source, target) in enumerate(case.ends):
        if edge not in case.banned:
            leaving.setdefault(source, []).append((edge, target))

    def walk(node: int, seen: frozenset[int], edges: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if node == case.target:
            yield edges
            return
        for edge, following in leaving.get(node, []):
            if following not in seen:
                yield from walk(following, seen | {following}, (*edges, edge))

    found = walk(case.source, frozenset({case.source}), ())
    return sorted((sum(case.weights[edge] for edge in path), len(path), path) for path in found)


def by_router(case: Case, k: int, router: Router | None = None) -> list[Found]:
    router = router or Router(case.node_count, case.ends, case.weights)
    paths = islice(router.paths(case.source, case.target, case.banned), k)
    return [(path.weight, path.edges) for path in paths]


@pytest.mark.parametrize("k", [3, 8])
def test_equals_brute_force_on_random_graphs(k: int) -> None:
    """Costs and canonical order, with ties, zero weights and parallel links."""
    for seed in range(GRAPHS):
        case = random_case(seed, nodes_max=7, edges_max=24)
        expected = [(weight, edges) for weight, _, edges in all_paths(case)[:k]]
        assert by_router(case, k) == expected, seed


def test_ends_after_the_last_path() -> None:
    for seed in range(200):
        case = random_case(seed, nodes_max=6, edges_max=12)
        assert len(by_router(case, 10_000)) == len(all_paths(case)), seed


@pytest.mark.filterwarnings("ignore:Couldn't reach some vertices")
def test_costs_equal_igraph_on_random_graphs() -> None:
    """Another author's Yen, on graphs too large to try all paths."""
    for seed in range(GRAPHS):
        case = random_case(seed, nodes_max=30, edges_max=120)
        allowed = [edge for edge in range(len(case.ends)) if edge not in case.banned]
        # Weights that a double holds exactly: igraph has no integers.
        weights = [min(case.weights[edge], 7) for edge in allowed]
        graph = igraph.Graph(case.node_count, [case.ends[edge] for edge in allowed], directed=True)
        paths = graph.get_k_shortest_paths(
            case.source, case.target, k=3, weights=weights, output="epath"
        )
        expected = sorted(sum(weights[edge] for edge in path) for path in paths if path)
        router = Router(case.node_count, case.ends, [min(weight, 7) for weight in case.weights])
        assert [weight for weight, _ in by_router(case, 3, router)] == expected, seed


def test_paths_are_loopless_chains_and_never_worse_than_the_one_before() -> None:
    for seed in range(300):
        case = random_case(seed, nodes_max=40, edges_max=200)
        router = Router(case.node_count, case.ends, case.weights)
        keys = []
        for path in islice(router.paths(case.source, case.target, case.banned), 10):
            assert [case.ends[edge] for edge in path.edges] == list(
                zip(path.nodes, path.nodes[1:], strict=False)
            )
            assert (path.nodes[0], path.nodes[-1]) == (case.source, case.target)
            assert len(set(path.nodes)) == len(path.nodes)
            assert case.banned.isdisjoint(path.edges)
            keys.append((path.weight, len(path.edges), path.edges))
        assert keys == sorted(set(keys)), seed


def test_a_kept_tree_answers_like_a_new_one_whatever_is_banned() -> None:
    """The tree knows nothing of bans: with any set of them, the answer is that of a graph without these links."""
    for seed in range(300):
        case = random_case(seed, nodes_max=8, edges_max=24)
        warm = Router(case.node_count, case.ends, case.weights)
        random = Random(seed)  # noqa: S311 - as above
        for _ in range(4):
            banned = frozenset(edge for edge in range(len(case.ends)) if random.random() < 0.3)
            kept = [edge for edge in range(len(case.ends)) if edge not in banned]
            without = Router(
                case.node_count,
                [case.ends[edge] for edge in kept],
                [case.weights[edge] for edge in kept],
            )
            expected = [
                (path.weight, tuple(kept[edge] for edge in path.edges))
                for path in islice(without.paths(case.source, case.target), 5)
            ]
            found = islice(warm.paths(case.source, case.target, banned), 5)
            assert [(path.weight, path.edges) for path in found] == expected, seed


def test_where_sender_and_receiver_are_one_there_is_no_path() -> None:
    assert list(Router(2, [(0, 1), (1, 0)], [1, 1]).paths(0, 0)) == []


@pytest.mark.parametrize("node_count", [2, 3, 4, 7, 8, 63, 64, 5000])
def test_no_number_of_hops_outweighs_a_weight_of_one(node_count: int) -> None:
    """Hops decide among equal weights alone, however long a path the graph has room for."""
    line = [(node, node + 1) for node in range(node_count - 1)]
    router = Router(node_count, [*line, (0, node_count - 1)], [*(0 for _ in line), 1])
    paths = list(router.paths(0, node_count - 1))
    assert [(path.weight, len(path.edges)) for path in paths] == [(0, node_count - 1), (1, 1)]


def test_a_sender_that_no_link_leads_to_finds_every_path() -> None:
    """Its own distance is in no tree. Nor do others pass it, so each link of it is the start of a path or of none."""
    ends = [(0, 1), (0, 2), (0, 3), (1, 2), (2, 3), (3, 1)]
    paths = list(Router(4, ends, [1, 1, 9, 1, 1, 1]).paths(0, 3))
    assert [path.edges for path in paths] == [(1, 4), (0, 3, 4), (2,)]


def test_weights_of_any_size_add_up_exactly() -> None:
    """Money has 38 digits, a float 16: a difference of one decides."""
    big = 10**38
    ends = [(0, 1), (0, 2), (1, 3), (2, 3)]
    paths = list(Router(4, ends, [big, big, 1, 0]).paths(0, 3))
    assert [(path.weight, path.edges) for path in paths] == [(big, (1, 3)), (big + 1, (0, 2))]
