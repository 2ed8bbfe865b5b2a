"""The mesh in memory: newer versions win, gaps close by themselves, and nothing on the stream can stop it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain.errors import Unavailable
from plm.domain.graph import Entropy
from plm.domain.mesh import Link, Node
from plm.gateway import live_graph
from plm.gateway.live_graph import RESYNC_S, TICK_S, LiveGraph, Mesh
from support import virtual_time
from support.paper_stream import Source, link, node

_T = TypeVar("_T")
SOON_S = 3 * TICK_S


def run(story: Coroutine[Any, Any, _T]) -> _T:
    return virtual_time.run(story, live_graph)


def seen(graph: LiveGraph) -> tuple[list[str], dict[tuple[str, str], int]]:
    """Nodes, and volumes of links, as the router sees them."""
    found = graph.quoter.graph
    return found.nodes, {edge.link.key: edge.link.liquidity_volume for edge in found.edges}


def followed(story: Callable[[Source, LiveGraph], Coroutine[Any, Any, None]]) -> None:
    """Run a story beside a graph that follows a mesh of A and B."""

    async def main() -> None:
        source = Source()
        for thing in (node("a"), node("b"), link("a", "b")):
            source.put(thing)
        graph = LiveGraph(source, source, Entropy.RAW)
        assert not graph.is_loaded
        following = asyncio.create_task(graph.run())
        await asyncio.sleep(SOON_S)
        assert graph.is_loaded
        assert seen(graph) == (["a", "b"], {("a", "b"): 1000})
        await story(source, graph)
        assert not following.done(), "whatever happens, it follows"
        following.cancel()

    run(main())


def test_a_change_is_seen_after_a_tick() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        source.put(link("a", "b", 2, 900))
        source.put(node("c"))
        source.put(link("b", "c"))
        await asyncio.sleep(SOON_S)
        assert seen(graph) == (["a", "b", "c"], {("a", "b"): 900, ("b", "c"): 1000})
        assert source.snapshots == 1, "events were enough"

    followed(story)


def test_many_changes_within_a_tick_are_one_version_and_none_is_none() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        before = graph.quoter.graph.version
        for version in range(2, 102):
            source.put(link("a", "b", version, 1000 - version))
        await asyncio.sleep(SOON_S)
        assert before < graph.quoter.graph.version <= before + 2
        assert seen(graph)[1] == {("a", "b"): 1000 - 101}
        quiet = graph.quoter
        source.publish(link("a", "b", 101, 5))
        await asyncio.sleep(SOON_S)
        assert graph.quoter is quiet, "the router's trees live as long as nothing changes"

    followed(story)


def test_what_is_old_is_no_news_in_whatever_order_it_comes() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        source.put(link("a", "b", 5, 500))
        source.publish(link("a", "b", 3, 300))
        source.put(node("b", 4, enabled=False))
        source.publish(node("b", 3))
        await asyncio.sleep(SOON_S)
        assert seen(graph) == (["a"], {})
        assert graph._mesh.links["a", "b"].liquidity_volume == 500

    followed(story)


def test_an_event_that_was_lost_is_made_good_by_comparing() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        source.put(link("a", "b", 2, 900), is_published=False)
        source.put(node("c"), is_published=False)
        await asyncio.sleep(RESYNC_S + SOON_S)
        assert seen(graph) == (["a", "b", "c"], {("a", "b"): 900})

    followed(story)


def test_a_node_whose_disabling_was_missed_leaves_the_graph() -> None:
    """A snapshot holds enabled nodes alone: what it lacks is gone, or every payment would go on through it."""

    async def story(source: Source, graph: LiveGraph) -> None:
        source.put(node("b", 2, enabled=False), is_published=False)
        await asyncio.sleep(RESYNC_S + SOON_S)
        assert seen(graph) == (["a"], {})
        source.publish(node("b", 1))  # sent again, out of an old outbox
        await asyncio.sleep(SOON_S)
        assert seen(graph)[0] == ["a"]
        source.put(node("b", 3))
        await asyncio.sleep(SOON_S)
        assert seen(graph)[0] == ["a", "b"]

    followed(story)


def test_a_node_that_came_back_while_the_snapshot_was_on_its_way_stays() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        source.put(node("b", 2, enabled=False), is_published=False)

        def come_back() -> None:
            graph._mesh.put_node(node("b", 3))

        source.before_answer = come_back
        await graph.refresh()
        assert seen(graph)[0] == ["a", "b"]

    followed(story)


def test_after_a_break_it_goes_on_where_a_new_snapshot_ends() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        source.bus_is_up = False
        await asyncio.sleep(SOON_S)
        source.put(link("a", "b", 2, 900))
        source.put(node("b", 2, enabled=False))
        await asyncio.sleep(2)
        source.bus_is_up = True
        await asyncio.sleep(2)
        assert seen(graph) == (["a"], {})
        assert source.following_from[-1] == len(source.stream) + 1
        source.put(node("b", 3))
        await asyncio.sleep(SOON_S)
        assert seen(graph) == (["a", "b"], {("a", "b"): 900})

    followed(story)


def test_a_ledger_that_is_away_leaves_the_graph_as_it_was() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        source.ledger_is_up = False
        await asyncio.sleep(3 * RESYNC_S)
        source.put(link("a", "b", 2, 900))
        await asyncio.sleep(SOON_S)
        assert seen(graph) == (["a", "b"], {("a", "b"): 900})
        with pytest.raises(Unavailable):
            await graph.refresh()

    followed(story)


def test_without_a_bus_it_compares_until_there_is_one_and_then_follows() -> None:
    """From the beginning of the stream it would read a day's events, and from its end it would miss some."""

    async def story(source: Source, graph: LiveGraph) -> None:
        source.bus_is_up = source.ledger_sees_bus = False
        await asyncio.sleep(SOON_S)
        source.put(link("a", "b", 2, 900))
        await asyncio.sleep(3)
        assert seen(graph)[1] == {("a", "b"): 900}
        followed_before = list(source.following_from)
        source.bus_is_up = True
        await asyncio.sleep(3)
        assert source.following_from == followed_before
        source.ledger_sees_bus = True
        await asyncio.sleep(3)
        assert source.following_from[len(followed_before) :] == [len(source.stream) + 1]

    followed(story)


def test_a_comparison_that_takes_long_holds_no_tick_up() -> None:
    async def story(source: Source, graph: LiveGraph) -> None:
        source.ledger_takes_s = 2.0
        await asyncio.sleep(RESYNC_S)
        assert source.snapshots == 2, "it is being compared now"
        source.put(link("a", "b", 2, 900))
        await asyncio.sleep(SOON_S)
        assert seen(graph)[1] == {("a", "b"): 900}

    followed(story)


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"", b"\x0a\x02\x0a\xff", b"no protobuf"])
@pytest.mark.parametrize("subject", ["liquidity.updates.a.b", "liquidity.updates.a"])
def test_nothing_on_the_stream_stops_it(subject: str, payload: bytes) -> None:
    """Else one message that cannot be read would take every gateway down."""

    async def story(source: Source, graph: LiveGraph) -> None:
        source.send(subject, payload)
        source.put(link("a", "b", 2, 900))
        await asyncio.sleep(SOON_S)
        assert seen(graph)[1] == {("a", "b"): 900}
        assert source.snapshots == 1, "it reads on, without beginning anew"

    followed(story)


versions = st.integers(1, 9)
nodes = st.builds(node, st.sampled_from("abc"), versions)
links = st.builds(link, st.just("a"), st.sampled_from("bcd"), versions)


@given(st.lists(nodes, max_size=12), st.lists(links, max_size=12), st.data())
def test_any_order_of_events_gives_the_same_mesh(
    some_nodes: list[Node], some_links: list[Link], data: st.DataObject
) -> None:
    """Of each thing the newest version, however often and in whatever order they come."""
    first, second = Mesh(), Mesh()
    for each in some_nodes:
        first.put_node(each)
    for each_link in some_links:
        first.put_link(each_link)
    for each in data.draw(st.permutations(some_nodes * 2)):
        second.put_node(each)
    for each_link in data.draw(st.permutations(some_links * 2)):
        second.put_link(each_link)
    assert (first.nodes, first.links) == (second.nodes, second.links)
    newest = {each.key: each.version for each in sorted(some_links, key=lambda it: it.version)}
    assert {key: each.version for key, each in first.links.items()} == newest


def test_disabled_nodes_and_their_links_are_not_in_the_routers_graph() -> None:
    mesh = Mesh()
    for each in (node("a"), node("b"), node("c", enabled=False)):
        mesh.put_node(each)
    for each_link in (link("a", "b"), link("a", "c"), replace(link("b", "a"), enabled=False)):
        mesh.put_link(each_link)
    graph = mesh.graph(7, Entropy.RAW)
    assert (graph.version, graph.nodes) == (7, ["a", "b"])
    assert [edge.link.key for edge in graph.edges] == [("a", "b")]
