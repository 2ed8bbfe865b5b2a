"""Two writers can never both commit: by the lock, by the epoch, and by the shape of the table itself."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from plm.domain.errors import Code, PlmError, Refused, Unavailable
from plm.domain.orders import TransferOrder
from plm.ledger import recalling
from plm.ledger import term as leading
from plm.ledger.writer import LOCK_KEY, Writer
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer, run, running_writer
from support.waiting import until

_TAKE_OVER_S = 60.0


def move(name: str) -> TransferOrder:
    return TransferOrder(name, "link/a/b", "link/b/a", 1, "USD")


async def kill_backends(database: Database) -> None:
    """What the server side of a lost connection sees."""
    await database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename = 'ledger'"
    )


async def epochs(database: Database) -> list[int]:
    rows = await database.run("SELECT epoch FROM entries ORDER BY seq")
    return [int(row["epoch"]) for row in rows]


async def outcomes(writer: Writer, names: Sequence[str]) -> list[object]:
    asked = [writer.submit(move(name)) for name in names]
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_a_second_writer_stands_by_and_says_so(database: Database) -> None:
    async with leading_writer(database.ledger) as first, running_writer(database.ledger) as second:
        await ask_all(first, demo_mesh.founding())
        assert not second.leads
        with pytest.raises(Unavailable) as caught:
            await second.submit(move("t"))
        assert (caught.value.code, caught.value.effect_unknown) == (Code.NOT_LEADER, False)
        locks = await database.run(
            "SELECT granted FROM pg_locks WHERE locktype = 'advisory' AND objid = $1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            LOCK_KEY,
        )
        assert sum(row["granted"] for row in locks) == 1


async def test_the_second_takes_over_and_the_first_never_commits_again(database: Database) -> None:
    """The first's connection dies while it has work; the second leads before the first knows."""
    async with leading_writer(database.ledger) as first:
        await ask_all(first, [*demo_mesh.founding(), move("before")])
        async with running_writer(database.ledger) as second:
            await database.until_blocked()  # it has joined the queue for the lock
            await kill_backends(database)
            answers = await outcomes(first, ["late1", "late2"])
            await until(lambda: first.leads or second.leads, _TAKE_OVER_S, "one leads again")
            assert not (first.leads and second.leads)
            leader = first if first.leads else second
            await ask_all(leader, [move("after")])
    names = {row["transfer_id"] for row in await database.run("SELECT transfer_id FROM transfers")}
    assert {"before", "after"} <= names
    for name, answer in zip(("late1", "late2"), answers, strict=True):
        # Told "unknown": may or may not be there. Told "done": is there. Nothing else is said.
        assert name in names or isinstance(answer, Unavailable)
    assert await epochs(database) == sorted(await epochs(database))


async def test_an_epoch_that_moved_on_stops_the_old_writer_even_with_its_lock(
    database: Database,
) -> None:
    """As if the lock had failed: the row of the epoch alone keeps the old one from committing."""
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        before = await database.rows()
        await database.run("UPDATE writer SET epoch = epoch + 1")
        with pytest.raises(Unavailable) as caught:
            await writer.submit(move("fenced"))
        assert caught.value.effect_unknown is False
        assert await database.rows() == before
        await until(lambda: writer.leads, _TAKE_OVER_S, "it leads again, in a new epoch")
        await writer.submit(move("fenced"))
    found = await epochs(database)
    assert found == sorted(found)
    assert found[-1] >= found[0] + 2


async def test_a_writer_that_is_asked_nothing_notices_that_it_lost_its_connection(
    database: Database,
) -> None:
    """Else it would call itself the leader, ready and all, while another may lead."""
    async with leading_writer(database.ledger) as writer:
        await kill_backends(database)
        async with asyncio.timeout(_TAKE_OVER_S):
            while (await database.run("SELECT epoch FROM writer"))[0]["epoch"] == 1:  # noqa: ASYNC110 - a row sets no event
                await asyncio.sleep(0.02)
        await until(lambda: writer.leads, _TAKE_OVER_S, "it leads again")


async def test_a_writer_that_lost_the_lead_unnoticed_refuses_nothing_from_memory(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal needs no commit: whoever gives one must still know that nobody else has written since."""
    monkeypatch.setattr(leading, "_PROOF_S", 0.0)
    nothing_moves = TransferOrder("zero", "link/a/b", "link/b/a", 0, "USD")
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        with pytest.raises(Refused):
            await writer.submit(nothing_moves)
        await database.run("UPDATE writer SET epoch = epoch + 1")
        with pytest.raises(Unavailable) as caught:
            await writer.submit(nothing_moves)
        assert caught.value.effect_unknown is False


async def test_a_database_that_does_not_answer_before_the_commit_leaves_nothing_unknown(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a commit that was sent may have happened."""
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), move("before")])
        monkeypatch.setattr(recalling.Recall, "look_up", unanswered)
        with pytest.raises(Unavailable) as caught:
            await writer.submit(move("t"))
    assert caught.value.effect_unknown is False


async def unanswered(*_: object) -> None:
    raise TimeoutError


async def test_a_writer_that_cannot_take_the_row_waits_for_a_commit_under_way(
    database: Database,
) -> None:
    """The epoch cannot be raised in the middle of the old writer's commit: FOR SHARE holds the row."""
    connection = await asyncpg.connect(
        host=database.ledger.host, port=database.ledger.port, database=database.name, user="ledger"
    )
    try:
        async with connection.transaction():
            await connection.fetchval("SELECT 1 FROM writer WHERE epoch = 0 FOR SHARE")
            async with running_writer(database.ledger) as writer:
                await database.until_blocked()
                assert not writer.leads
        async with leading_writer(database.ledger) as writer:
            assert writer.leads
    finally:
        await connection.close()


async def test_the_table_itself_holds_no_fork(database: Database) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
    copied = (
        "INSERT INTO entries SELECT seq + 1000, prev_hash, hash, version, transfer_id, kind, debit,"
        " credit, amount, currency, ref, created_at_ms, epoch FROM entries WHERE seq = 2"
    )
    with pytest.raises(asyncpg.UniqueViolationError, match="prev_hash"):
        await run(database.ledger, copied)


async def test_commands_without_a_leader_are_refused_not_lost(database: Database) -> None:
    writer = Writer(database.ledger)
    with pytest.raises(PlmError) as caught:
        await writer.submit(move("t"))
    assert caught.value.code is Code.NOT_LEADER
