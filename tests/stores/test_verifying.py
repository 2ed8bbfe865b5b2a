"""A verification beside the ledger's work: one at a time, in pieces, on a connection of its own, also without a bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from plm.domain.chain import Entry, Verifier
from plm.domain.errors import Code, Unavailable
from plm.ledger import verifying
from plm.ledger.verifying import Auditor
from plm.stores.nats import Bus, NatsSettings, open_bus
from plm.stores.postgres import Connection, PostgresSettings, open_pool
from plm.wire import subjects
from support import demo_mesh
from support.ledgers import Database, ask_all, publishing_writer
from support.nats import NatsServer

_ROWS = 5_000
_MANY = """
INSERT INTO entries SELECT n, decode(lpad(to_hex(n), 64, '0'), 'hex'), decode(repeat('00', 32), 'hex'), 1, 't' || n,
    'transfer', 'x', 'y', 1, 'USD', '', 0, 1 FROM generate_series(1, 5000) n
"""


async def nothing_published(stack: AsyncExitStack) -> Bus:
    """A bus that is not there."""
    settings = NatsSettings(url="nats://127.0.0.1:9", connect_timeout_s=0.1, request_timeout_s=0.1)
    return await stack.enter_async_context(open_bus(settings))


async def many_rows(database: Database) -> None:
    """More than a few pieces; what they say does not matter here."""
    await database.run("ALTER TABLE entries DISABLE TRIGGER ALL")
    await database.run(_MANY)


async def test_others_have_their_turn_after_few_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer runs on the same loop: whatever the chain's length, it waits for one piece of it at most."""
    await many_rows(database)
    turns, most, in_turn = [0], [0], [0, 0]
    feed = Verifier.feed

    def counted(self: Verifier, entry: Entry) -> None:
        in_turn[:] = [turns[0], in_turn[1] + 1 if in_turn[0] == turns[0] else 1]
        most[0] = max(most[0], in_turn[1])
        feed(self, entry)

    async def others() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(Verifier, "feed", counted)
    async with AsyncExitStack() as stack:
        auditor = Auditor(database.ledger, await nothing_published(stack))
        busy = asyncio.create_task(others())
        verdict = await auditor.verify()
        busy.cancel()
    assert verdict.entries == _ROWS
    assert 0 < most[0] <= 500


async def test_there_is_one_at_a_time_and_it_takes_no_readers_connection(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counted here and not by the server, which keeps a connection for a moment after it was hung up.
    snapshot, open_now, most = verifying._snapshot, [0], [0]

    @asynccontextmanager
    async def counted(settings: PostgresSettings) -> AsyncIterator[Connection]:
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])
        try:
            async with snapshot(settings) as connection:
                yield connection
        finally:
            open_now[0] -= 1

    monkeypatch.setattr(verifying, "_snapshot", counted)
    await many_rows(database)
    one = database.ledger.model_copy(update={"pool_max": 1})
    looked: list[int] = []
    async with AsyncExitStack() as stack:
        auditor = Auditor(one, await nothing_published(stack))
        pool = await stack.enter_async_context(open_pool(one))
        running = asyncio.gather(*(auditor.verify() for _ in range(4)))
        while not running.done():
            async with pool.acquire() as connection:
                looked.append(
                    await connection.fetchval(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                        " AND usename = 'ledger' AND pid <> pg_backend_pid()"
                    )
                )
        verdicts = await running
    assert [verdict.entries for verdict in verdicts] == [_ROWS] * 4
    assert most[0] == 1
    assert max(looked) >= 1, "on a connection that is none of the pool's"


async def test_who_waits_too_long_for_its_turn_is_told_when_to_ask_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_TURN_S", 0.0)
    await many_rows(database)
    async with AsyncExitStack() as stack:
        auditor = Auditor(database.ledger, await nothing_published(stack))
        first = asyncio.create_task(auditor.verify())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as caught:
            await auditor.verify()
        assert (await first).entries == _ROWS
    assert caught.value.code is Code.OVERLOADED
    assert caught.value.retry_after_ms


@asynccontextmanager
async def anchored(database: Database, nats: NatsServer) -> AsyncIterator[tuple[Bus, Auditor]]:
    """A settled payment whose entries are anchored."""
    settings = NatsSettings(url=nats.url, request_timeout_s=2.0)
    async with publishing_writer(database, settings) as (bus, writer):
        await ask_all(writer, [*demo_mesh.founding(), *demo_mesh.whole_payment("p")])
        await database.until_sent()
        yield bus, Auditor(database.ledger, bus)


async def test_without_a_bus_the_rows_are_judged_and_the_anchors_said_to_be_unread(
    database: Database, nats: NatsServer
) -> None:
    """A cut-off tail is then not seen, and whoever reads the verdict must know; what the rows show is."""
    async with anchored(database, nats) as (_, auditor):
        assert (await auditor.verify()).anchors_unread == ""
        nats.kill()
        sound = await auditor.verify()
        await database.run("UPDATE entries SET amount = amount + 1 WHERE seq = 5")
        broken = await auditor.verify()
    assert (sound.findings, sound.anchored_seq) == ((), 0)
    assert "NATS" in sound.anchors_unread
    assert broken.findings[0].seq == 5


async def test_what_is_no_anchor_is_told_of_and_the_anchors_beside_it_count(
    database: Database, nats: NatsServer
) -> None:
    """Whoever can publish must not be able to stop the verification, nor to invent a finding."""
    async with anchored(database, nats) as (bus, auditor):
        before = await auditor.verify()
        for number, garbage in enumerate((b"\xff\xff garbage", b"", b"\x08\x01")):
            await bus.publish(subjects.ANCHOR_SUBJECT, garbage, f"garbage {number}")
        verdict = await auditor.verify()
    assert before.anchors_unread == ""
    assert verdict.anchors_unread.startswith("3 of ")
    assert "no anchors" in verdict.anchors_unread
    assert (verdict.findings, verdict.anchored_seq) == ((), before.anchored_seq)
    assert before.anchored_seq > 0
