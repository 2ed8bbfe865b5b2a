"""Quotes: only what can really be paid, in the router's order, and every link left out has a reason."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from plm.domain.fees import hop_amounts
from plm.domain.graph import Graph
from plm.domain.mesh import Link, LinkPolicy, Registration
from plm.domain.orders import HOPS_MAX
from plm.domain.routes import Ban, Quoter, Route

NODES = "abcde"
PAIRS = [(source, target) for source in NODES for target in NODES if source != target]


def link(key: tuple[str, str], volume: int, base_fee: int, fee_rate_ppm: int = 0) -> Link:
    policy = LinkPolicy(base_fee, fee_rate_ppm)
    return Link(*key, policy, volume, Registration("u", 1), 1, "USD", True, volume)


def links() -> st.SearchStrategy[list[Link]]:
    """Links around the amounts that are paid: too small, just enough, enough without the fees."""
    made = st.builds(
        link,
        st.sampled_from(PAIRS),
        st.integers(0, 300),
        st.integers(0, 60),
        st.sampled_from((0, 0, 10_000, 333_333)),
    )
    return st.lists(made, max_size=12, unique_by=lambda each: each.key)


bans = st.builds(
    Ban,
    st.frozensets(st.sampled_from(NODES), max_size=1),
    st.frozensets(st.sampled_from(PAIRS), max_size=3),
)


def chains(
    graph: Graph, node: int, target: int, edges: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Every loopless chain of edges from node to target."""
    if node == target:
        yield edges
        return
    visited = {graph.edges[edge].source for edge in edges} | {node}
    for edge in graph.outgoing[node]:
        if graph.edges[edge].target not in visited:
            yield from chains(graph, graph.edges[edge].target, target, (*edges, edge))


def payable(graph: Graph, amount: int, ban: Ban) -> list[tuple[int, int, tuple[int, ...]]]:
    """By trying all: (weight, hops, edges) of every way from a to e that money can really take."""
    found = []
    for chain in chains(graph, graph.number["a"], graph.number["e"], ()):
        parts = [graph.edges[edge].link for edge in chain]
        moved = hop_amounts(amount, [graph.fee(edge, amount) for edge in chain])
        has_room = all(
            part.liquidity_volume >= each for part, each in zip(parts, moved, strict=True)
        )
        if has_room and not any(ban.reason(part.key) for part in parts):
            weight = sum(graph.weight(edge, amount) for edge in chain)
            found.append((weight, len(chain), chain))
    return sorted(found)


def keys(route: Route) -> list[tuple[str, str]]:
    return [(step.hop.from_node, step.hop.to_node) for step in route.steps]


@settings(max_examples=400)
@given(links(), st.lists(st.tuples(st.integers(1, 250), bans), min_size=1, max_size=3))
def test_quotes_are_the_best_ways_that_can_carry_amount_and_fees(
    declared: list[Link], asked: list[tuple[int, Ban]]
) -> None:
    """One quoter, several amounts and bans: kept trees never leak from one question into the next."""
    graph = Graph(NODES, declared)
    quoter = Quoter(graph)
    for amount, ban in asked:
        expected = payable(graph, amount, ban)[:3]
        routes = quoter.routes("a", "e", amount, ban=ban)
        assert [(route.weight, keys(route)) for route in routes] == [
            (weight, [graph.edges[edge].link.key for edge in chain])
            for weight, _, chain in expected
        ]


@given(links(), st.integers(1, 250), bans)
def test_a_quoted_route_moves_amount_and_fees_and_no_link_runs_dry(
    declared: list[Link], amount: int, ban: Ban
) -> None:
    graph = Graph(NODES, declared)
    volumes = {each.key: each.liquidity_volume for each in declared}
    for route in Quoter(graph).routes("a", "e", amount, ban=ban):
        assert route.hops[-1].amount == amount
        assert route.hops[0].amount == amount + route.fee
        for before, after in pairwise(route.steps):
            assert before.hop.amount - after.hop.amount == after.fee
        assert all(
            step.hop.amount <= volumes[key]
            for step, key in zip(route.steps, keys(route), strict=True)
        )


@given(links(), st.integers(1, 250), bans)
def test_every_link_left_out_has_a_reason_and_no_route_takes_it(
    declared: list[Link], amount: int, ban: Ban
) -> None:
    quoter = Quoter(Graph(NODES, declared))
    left_out = {
        (each.from_node, each.to_node): each.reason for each in quoter.left_out(amount, ban)
    }
    for each in declared:
        is_out = bool(ban.reason(each.key)) or each.liquidity_volume < amount
        assert bool(left_out.get(each.key)) == is_out
    for route in quoter.routes("a", "e", amount, ban=ban):
        assert left_out.keys().isdisjoint(keys(route))


@given(links(), st.integers(1, 250))
def test_disjoint_routes_share_no_link_and_start_with_the_best(
    declared: list[Link], amount: int
) -> None:
    quoter = Quoter(Graph(NODES, declared))
    disjoint = quoter.disjoint_routes("a", "e", amount)
    taken = [key for route in disjoint for key in keys(route)]
    assert len(taken) == len(set(taken))
    assert disjoint[:1] == quoter.routes("a", "e", amount, k=1)


def test_a_cheaper_way_that_is_too_long_to_be_taken_hides_no_other() -> None:
    """The ledger refuses a route of more hops for good: one that was quoted would end the payment."""
    stops = ["a", *(f"n{number}" for number in range(HOPS_MAX)), "z"]
    declared = [link(pair, 1000, 0) for pair in pairwise(stops)]
    declared += [link(("a", "m"), 1000, 5), link(("m", "z"), 1000, 5)]
    graph = Graph([*stops, "m"], declared)
    assert [route.nodes for route in Quoter(graph).routes("a", "z", 10)] == [("a", "m", "z")]
    assert len(Quoter(graph).routes(stops[1], "z", 10)[0].hops) == HOPS_MAX
    assert Quoter(Graph(stops, declared[:-2])).routes("a", "z", 10) == []


def test_no_number_of_cheaper_ways_that_are_too_long_hides_a_short_one() -> None:
    """From each of many nodes in a row two ways lead to the next: more in all than anybody can look at."""
    steps = range(2 * HOPS_MAX)
    declared = [
        link(pair, 1000, 0)
        for each in steps
        for side in "lr"
        for pair in ((f"n{each}", f"{side}{each}"), (f"{side}{each}", f"n{each + 1}"))
    ]
    declared += [link(("n0", "m"), 1000, 5), link(("m", f"n{len(steps)}"), 1000, 7)]
    graph = Graph({end for each in declared for end in each.key}, declared)
    [route] = Quoter(graph).routes("n0", f"n{len(steps)}", 10, k=1)
    assert (route.nodes[1], route.fee) == ("m", 7)
    assert route.weight == sum(step.weight for step in route.steps) > 0


def test_the_demo_mesh_pays_over_b_and_then_over_c() -> None:
    """Weights by hand: both first links cost nothing, so H(a) = 1 bit plays no part; B takes 1.00, C takes 3.00."""
    full = 100_000_000
    declared = [link(("a", "b"), full, 0), link(("a", "c"), full, 0)]
    declared += [link(("b", "d"), full, 100), link(("c", "d"), full, 300)]
    first, second = Quoter(Graph("abcd", declared)).routes("a", "d", 1_000_000)
    assert (first.nodes, first.fee, first.weight) == (("a", "b", "d"), 100, 100_000_000)
    assert (second.nodes, second.fee, second.weight) == (("a", "c", "d"), 300, 300_000_000)
    assert first.steps[0].entropy_bits == 1.0
