"""Two batches under way: one is committed, the next is decided on it and waits. Whatever happens to the first one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
import structlog
from plm.domain import transferring
from plm.domain.books import Books, Transfer
from plm.domain.errors import Code, Refused, Unavailable
from plm.domain.orders import TransferOrder
from plm.ledger import recalling
from plm.ledger.sharing import BATCH_MAX
from plm.ledger.term import REFUSED
from plm.ledger.writer import Writer
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer, running_writer
from support.waiting import until

_SOON_S = 30.0
ALL = TransferOrder("all", "link/a/b", "link/b/a", demo_mesh.VOLUME, "USD")
ONE_MORE = TransferOrder("one-more", "link/a/b", "link/b/a", 1, "USD")
ELSEWHERE = TransferOrder("elsewhere", "link/a/c", "link/c/a", 1, "USD")
BACK = TransferOrder("back", "link/b/a", "link/a/b", demo_mesh.VOLUME, "USD")


@pytest.fixture(autouse=True)
def _no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a batch of nothing would take the place behind the first one."""
    monkeypatch.setattr("plm.ledger.writer._TICK_S", 4 * _SOON_S)


@asynccontextmanager
async def held_up(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """No batch can commit until this transaction, which holds the row of the epoch, has ended."""
    connection = await asyncpg.connect(
        host=database.superuser.host,
        port=database.superuser.port,
        database=database.name,
        user=database.superuser.user,
    )
    try:
        async with connection.transaction():
            await connection.fetchval("SELECT epoch FROM writer FOR UPDATE")
            yield connection
    finally:
        await connection.close()


async def asked(
    writer: Writer, database: Database, *orders: TransferOrder
) -> list[asyncio.Task[object]]:
    """The first is being committed, the others wait behind it."""
    first = asyncio.create_task(writer.submit(orders[0]))
    await database.until_blocked()
    return [first, *(asyncio.create_task(writer.submit(order)) for order in orders[1:])]


def overdrafts() -> float:
    return float(REFUSED.labels(str(Code.INSUFFICIENT_FUNDS))._value.get())


async def written(database: Database) -> list[str]:
    rows = await database.run(
        "SELECT transfer_id FROM entries WHERE kind = 'transfer' ORDER BY seq"
    )
    return [row["transfer_id"] for row in rows]


async def check_nothing_was_done(database: Database, tasks: Sequence[asyncio.Task[object]]) -> None:
    """Everybody hears that, and it is true."""
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, Unavailable) and not each.effect_unknown for each in outcomes)
    assert await written(database) == []


async def test_a_batch_is_decided_on_the_one_before_it_and_told_after_it(
    database: Database,
) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        before = overdrafts()
        async with held_up(database):
            tasks = await asked(writer, database, ALL, ONE_MORE)
            await until(lambda: overdrafts() > before, _SOON_S, "the overdraft is found")
            assert not any(task.done() for task in tasks)
        assert isinstance(await tasks[0], Transfer)
        with pytest.raises(Refused) as caught:
            await tasks[1]
    assert caught.value.code is Code.INSUFFICIENT_FUNDS


async def test_batches_are_written_in_the_order_in_which_they_were_decided(
    database: Database,
) -> None:
    """The second would be an overdraft of the other link, had the first not moved."""
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        async with held_up(database):
            tasks = await asked(writer, database, ALL, BACK)
        await asyncio.gather(*tasks)
    assert await written(database) == ["all", "back"]


async def test_a_batch_behind_one_that_was_lost_is_never_sent(database: Database) -> None:
    """The first's outcome is unknown. What was decided on it is not, and is not done."""
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        before = overdrafts()
        async with held_up(database):
            tasks = await asked(writer, database, ALL, ONE_MORE)
            await until(lambda: overdrafts() > before, _SOON_S, "the overdraft is found")
            tasks.append(asyncio.create_task(writer.submit(BACK)))
            await database.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = 'ledger'"
            )
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, Unavailable) and each.effect_unknown for each in outcomes] == [
            True,
            False,
            False,
        ]
        await until(lambda: writer.leads, _SOON_S, "it leads again")
        assert isinstance(await writer.submit(ONE_MORE), Transfer)
    assert await written(database) == ["one-more"]


async def test_a_batch_behind_one_that_the_database_refused_is_never_sent(
    database: Database,
) -> None:
    """The connection is as good as before, but the chain would have a gap."""
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        async with held_up(database) as other:
            tasks = await asked(writer, database, ALL, ELSEWHERE)
            await other.execute("DELETE FROM accounts WHERE account_id = 'link/b/a'")
        await check_nothing_was_done(database, tasks)


async def test_a_term_that_is_over_takes_no_more_while_its_last_batch_lands(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command left the books half changed. What was sent before it is whole, and its caller hears so."""
    transfer = transferring.transfer

    def faulty(books: Books, order: TransferOrder) -> Transfer:
        answer = transfer(books, order)
        if order == BACK:
            raise ZeroDivisionError
        return answer

    monkeypatch.setattr(transferring, "transfer", faulty)
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        async with held_up(database):
            tasks = await asked(writer, database, ALL, BACK)
            await until(lambda: not writer.leads, _SOON_S, "it leads no more")
            assert not tasks[0].done()
        assert isinstance(await tasks[0], Transfer)
        with pytest.raises(Unavailable) as caught:
            await tasks[1]
        assert not caught.value.effect_unknown
    assert await written(database) == ["all"]


async def test_a_writer_that_is_fenced_off_writes_neither_of_two_batches(
    database: Database,
) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        async with held_up(database) as other:
            tasks = await asked(writer, database, ALL, BACK)
            await other.execute("UPDATE writer SET epoch = epoch + 1")
        await check_nothing_was_done(database, tasks)


async def test_nobody_waits_for_what_a_lost_batch_makes_void(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one's payments are still being read, as from a server that has fallen silent.

    Not that reading, which is broken off, but the lost batch says in the log why the lead is.
    """
    patient = database.ledger.model_copy(update={"command_timeout_s": 4 * _SOON_S})
    with structlog.testing.capture_logs() as logs:
        async with leading_writer(patient) as writer:
            await ask_all(writer, demo_mesh.founding())
            async with held_up(database) as other:
                tasks = await asked(writer, database, ALL)
                monkeypatch.setattr(recalling.Recall, "look_up", reading_for_long)
                tasks.append(asyncio.create_task(writer.submit(ELSEWHERE)))
                await database.until_waiting("PgSleep")
                await other.execute("UPDATE writer SET epoch = epoch + 1")
            async with asyncio.timeout(_SOON_S):
                await check_nothing_was_done(database, tasks)
            monkeypatch.undo()
            await until(lambda: writer.leads, _SOON_S, "it leads again")
    [reason] = [each["reason"] for each in logs if each["event"] == "Lost the lead"]
    assert reason == "Fenced()"


async def reading_for_long(_: recalling.Recall, reader: asyncpg.Connection, *__: object) -> None:
    await reader.execute(f"SELECT pg_sleep({4 * _SOON_S})")


async def test_a_writer_that_is_stopped_tells_what_became_of_what_it_had_sent(
    database: Database,
) -> None:
    writer = Writer(database.ledger)
    run = asyncio.create_task(writer.run())
    await until(lambda: writer.leads, _SOON_S, "the writer leads")
    await ask_all(writer, demo_mesh.founding())
    async with held_up(database):
        tasks = await asked(writer, database, ALL)
        run.cancel()
        await asyncio.sleep(0)
    assert isinstance(await tasks[0], Transfer)
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_two_connections_to_different_servers_lead_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a switch-over between the two: the one that reads must know the epoch that the other one raised."""

    async def behind(*_: object) -> int:
        return 0

    monkeypatch.setattr("plm.ledger.rows.load_epoch", behind)
    async with running_writer(database.ledger) as writer:
        async with asyncio.timeout(_SOON_S):
            while (await database.run("SELECT epoch FROM writer"))[0]["epoch"] < 2:  # noqa: ASYNC110 - a row sets no event
                await asyncio.sleep(0.02)
        assert not writer.leads


def test_what_is_remembered_exceeds_what_two_batches_name() -> None:
    """Each names its commands and as many attempts whose time is over; none of them may be read while it is changed."""
    assert recalling._REMEMBERED_MAX > 2 * 2 * BATCH_MAX
