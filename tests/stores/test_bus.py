"""The outbox and JetStream on a real server: in order, at least once, never in the way of money, and over restarts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from nats import connect
from nats.js.errors import APIError
from plm.domain.errors import Unavailable
from plm.domain.orders import TransferOrder
from plm.ledger.reading import Reader
from plm.stores.nats import Bus, BusMessage, NatsSettings, open_bus
from plm.stores.postgres import open_pool
from plm.wire import plm_pb2 as pb
from plm.wire import subjects
from support import demo_mesh
from support.ledgers import (
    Database,
    ask_all,
    leading_writer,
    publishing_writer,
    running_outbox,
)
from support.nats import NatsServer
from support.waiting import until


def settings_of(nats: NatsServer) -> NatsSettings:
    return NatsSettings(url=nats.url, connect_timeout_s=2.0, request_timeout_s=2.0)


@asynccontextmanager
async def following(bus: Bus, from_sequence: int) -> AsyncIterator[list[BusMessage]]:
    """What a reader gets from a sequence on, as it comes."""
    found: list[BusMessage] = []

    async def follow() -> None:
        async for message in bus.follow(subjects.LIQUIDITY_SUBJECTS, from_sequence):
            found.append(message)  # noqa: PERF401 - read as it comes

    task = asyncio.create_task(follow())
    try:
        yield found
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def anchors(bus: Bus, count_max: int = 1_000) -> list[bytes]:
    stream, subject = subjects.ANCHOR_STREAM, subjects.ANCHOR_SUBJECT
    return await bus.recent_payloads(stream, subject, count_max)


async def last_anchor(bus: Bus) -> bytes:
    return (await anchors(bus))[-1]


def newest_links(messages: Sequence[BusMessage]) -> dict[tuple[str, str], tuple[int, int]]:
    """Version and volume of each link after all messages, the newest version winning."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for message in messages:
        if subjects.is_link_subject(message.subject):
            link = pb.LinkEvent.FromString(message.payload).link
            state = link.version, int(link.liquidity_volume)
            key = link.from_node, link.to_node
            found[key] = max(found.get(key, (0, 0)), state)
    return found


async def stored_links(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    rows = await database.run(
        "SELECT l.from_node, l.to_node, l.version, a.posted - a.held AS volume FROM links l"
        " JOIN accounts a ON a.account_id = 'link/' || l.from_node || '/' || l.to_node"
    )
    return {
        (row["from_node"], row["to_node"]): (row["version"], int(row["volume"])) for row in rows
    }


async def test_what_was_committed_reaches_the_streams(database: Database, nats: NatsServer) -> None:
    """Folding the events gives the links as they are stored; the last anchor is the head of the chain."""
    async with publishing_writer(database, settings_of(nats)) as (bus, writer):
        await ask_all(writer, demo_mesh.founding())
        await database.until_sent()
        async with following(bus, 1) as found:
            for number in range(20):
                await ask_all(writer, demo_mesh.whole_payment(f"p{number}"))
            await database.until_sent()
            last = await bus.last_sequence(subjects.LIQUIDITY_STREAM)
            await until(lambda: bool(found) and found[-1].sequence >= last, 30, "all were read")
            assert newest_links(found) == await stored_links(database)
            assert [message.sequence for message in found] == list(range(1, last + 1))
        nodes = {
            message.subject for message in found if not subjects.is_link_subject(message.subject)
        }
        assert nodes == {subjects.node_subject(node_id) for node_id in "abcde"}
        payload = await last_anchor(bus)
    head = await database.run("SELECT seq, hash, epoch FROM entries ORDER BY seq DESC LIMIT 1")
    anchor = pb.Anchor.FromString(payload)
    assert (anchor.seq, anchor.hash, anchor.epoch) == tuple(head[0])


async def test_versions_of_a_link_never_go_back_in_the_stream(
    database: Database, nats: NatsServer
) -> None:
    async with publishing_writer(database, settings_of(nats)) as (bus, writer):
        await ask_all(writer, demo_mesh.founding())
        await asyncio.gather(
            *(ask_all(writer, demo_mesh.whole_payment(f"p{number}")) for number in range(100))
        )
        await database.until_sent()
        last = await bus.last_sequence(subjects.LIQUIDITY_STREAM)
        async with following(bus, 1) as found:
            await until(lambda: bool(found) and found[-1].sequence >= last, 30, "all were read")
    versions: dict[str, list[int]] = {}
    for message in found:
        if subjects.is_link_subject(message.subject):
            event = pb.LinkEvent.FromString(message.payload)
            versions.setdefault(message.subject, []).append(event.link.version)
    assert all(seen == sorted(set(seen)) for seen in versions.values())


async def test_a_snapshot_and_what_follows_it_leave_no_gap(
    database: Database, nats: NatsServer
) -> None:
    """As a gateway starts: snapshot while money moves, then events from the next sequence on."""
    async with (
        publishing_writer(database, settings_of(nats)) as (bus, writer),
        open_pool(database.ledger) as pool,
    ):
        await ask_all(writer, demo_mesh.founding())
        await database.until_sent()
        busy = asyncio.gather(
            *(ask_all(writer, demo_mesh.whole_payment(f"p{number}")) for number in range(60))
        )
        nodes, sequence = await Reader(pool, bus).snapshot()
        known = {
            link.key: (link.version, link.liquidity_volume) for node in nodes for link in node.links
        }
        async with following(bus, sequence + 1) as found:
            await busy
            await database.until_sent()
            last = await bus.last_sequence(subjects.LIQUIDITY_STREAM)
            await until(lambda: bool(found) and found[-1].sequence >= last, 30, "all were read")
    assert sequence > 0
    for key, state in newest_links(found).items():
        known[key] = max(known[key], state)
    assert known == await stored_links(database)


async def test_money_moves_while_the_bus_is_down_and_the_outbox_keeps_what_it_has_to_say(
    database: Database, nats: NatsServer
) -> None:
    nats.kill()
    async with publishing_writer(database, settings_of(nats)) as (bus, writer):
        await ask_all(writer, [*demo_mesh.founding(), *demo_mesh.whole_payment("p")])
        assert len(await database.run("SELECT 1 FROM outbox")) > 0
        with pytest.raises(Unavailable):
            await bus.last_sequence(subjects.LIQUIDITY_STREAM)
        nats.start()
        await database.until_sent()
        payload = await last_anchor(bus)
    entries = await database.run("SELECT 1 FROM entries")
    assert pb.Anchor.FromString(payload).seq == len(entries)


async def test_a_reader_goes_on_after_the_server_was_killed(
    database: Database, nats: NatsServer
) -> None:
    """Nothing is missed, nothing comes twice: kill -9 keeps what was acknowledged."""
    async with publishing_writer(database, settings_of(nats)) as (bus, writer):
        await ask_all(writer, demo_mesh.founding())
        await database.until_sent()
        async with following(bus, 1) as found:
            await until(lambda: bool(found), 30, "the first was read")
            for number in range(3):
                nats.kill()
                await ask_all(writer, demo_mesh.whole_payment(f"p{number}"))
                nats.start()
                await database.until_sent()
            last = await bus.last_sequence(subjects.LIQUIDITY_STREAM)
            await until(lambda: found[-1].sequence >= last, 30, "all were read")
    assert [message.sequence for message in found] == list(range(1, last + 1))
    assert newest_links(found) == await stored_links(database)


async def test_a_message_that_is_sent_again_is_in_the_stream_once(nats: NatsServer) -> None:
    async with open_bus(settings_of(nats)) as bus:
        await bus.ensure_streams()
        await bus.ensure_streams()
        subject = subjects.link_subject("a", "b")
        await asyncio.gather(*(bus.publish(subject, b"x", "outbox-1") for _ in range(20)))
        assert await bus.last_sequence(subjects.LIQUIDITY_STREAM) == 1


async def test_the_newest_messages_come_oldest_first(nats: NatsServer) -> None:
    async with open_bus(settings_of(nats)) as bus:
        await bus.ensure_streams()
        for number in range(5):
            await bus.publish(subjects.ANCHOR_SUBJECT, b"%d" % number, f"outbox-{number}")
        assert await anchors(bus, 3) == [b"2", b"3", b"4"]
        assert await anchors(bus, 9) == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("is_of_old", [False, True])
async def test_nobody_takes_anchors_out_of_their_stream(nats: NatsServer, is_of_old: bool) -> None:
    """One by one or all at once: what they testify to would only count as not anchored yet."""
    client = await connect(nats.url)
    jetstream = client.jetstream()
    if is_of_old:
        await jetstream.add_stream(name=subjects.ANCHOR_STREAM, subjects=[subjects.ANCHOR_SUBJECT])
    try:
        async with open_bus(settings_of(nats)) as bus:
            await bus.ensure_streams()
            await bus.publish(subjects.ANCHOR_SUBJECT, b"x", "outbox-1")
            with pytest.raises(APIError, match="not permitted"):
                await jetstream.purge_stream(subjects.ANCHOR_STREAM)
            assert await anchors(bus) == [b"x"]
            with pytest.raises(APIError, match="not permitted"):
                await jetstream.delete_msg(subjects.ANCHOR_STREAM, 1)
            assert await anchors(bus) == [b"x"]
    finally:
        await client.close()


async def test_what_was_never_said_is_not_there(nats: NatsServer) -> None:
    async with open_bus(settings_of(nats)) as bus:
        assert await anchors(bus) == []
        await bus.ensure_streams()
        assert await anchors(bus) == []
        assert await bus.last_sequence(subjects.LIQUIDITY_STREAM) == 0


async def test_a_stream_that_cannot_be_followed_says_so(nats: NatsServer) -> None:
    async with open_bus(settings_of(nats)) as bus:
        with pytest.raises(Unavailable):
            await anext(bus.follow(subjects.LIQUIDITY_SUBJECTS, 1))


async def test_only_the_leader_empties_the_outbox(database: Database, nats: NatsServer) -> None:
    """Two publishers would mix up the order of what they send."""
    async with open_bus(settings_of(nats)) as bus, leading_writer(database.ledger) as writer:
        await ask_all(
            writer, [*demo_mesh.founding(), TransferOrder("t", "link/a/b", "link/b/a", 1, "USD")]
        )
        idle = type(writer)(database.ledger)
        async with running_outbox(database, bus, idle):
            # Twice: who takes up the second call has done all that it does at the first.
            for _ in range(2):
                idle.committed.set()
                await until(lambda: not idle.committed.is_set(), 10, "it has looked")
            assert len(await database.run("SELECT 1 FROM outbox")) > 0
        async with running_outbox(database, bus, writer):
            await database.until_sent()
