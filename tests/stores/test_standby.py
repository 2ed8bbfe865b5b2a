"""Postgres with a synchronous standby: money is told of when two disks have it, and not a moment before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from plm.domain.books import Transfer
from plm.domain.errors import Unavailable
from plm.domain.orders import TransferOrder
from plm.ledger import recalling
from plm.ledger.writer import Writer
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer
from support.waiting import until

_SOON_S = 30.0
MOVE = TransferOrder("t", "link/a/b", "link/b/a", 1, "USD")
NEXT = TransferOrder("next", "link/a/c", "link/c/a", 1, "USD")


async def _wait_for_standby(database: Database, name: str) -> None:
    await database.run(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    await database.run("SELECT pg_reload_conf()")


@asynccontextmanager
async def cut_off(database: Database) -> AsyncIterator[None]:
    """The standby that each commit waits for has gone."""
    await _wait_for_standby(database, "nobody")
    try:
        yield
    finally:
        await _wait_for_standby(database, "")


async def reading_for_long(_: recalling.Recall, reader: asyncpg.Connection, *__: object) -> None:
    await reader.execute("SELECT pg_sleep(9)", timeout=9)


@asynccontextmanager
async def impatient_writer(database: Database) -> AsyncIterator[Writer]:
    """A writer that waits for a second."""
    settings = database.ledger.model_copy(update={"command_timeout_s": 1.0})
    async with leading_writer(settings) as writer:
        await ask_all(writer, demo_mesh.founding())
        yield writer


@pytest.mark.parametrize("is_next_read", [False, True], ids=["nothing else", "the next is read"])
async def test_what_no_standby_has_is_seen_by_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, is_next_read: bool
) -> None:
    """A wait that is cancelled leaves a commit that this server alone knows: a receipt of it would be lost with it.

    So the wait goes on, whether or not anybody waits for its answer, and with it the lock of the term.
    """
    # On a busy machine a batch of nothing would take the place behind the first one.
    monkeypatch.setattr("plm.ledger.writer._TICK_S", 4 * _SOON_S)
    async with impatient_writer(database) as writer:
        async with cut_off(database):
            tasks = [asyncio.create_task(writer.submit(MOVE))]
            await database.until_waiting("SyncRep")
            if is_next_read:
                with monkeypatch.context() as patch:
                    patch.setattr(recalling.Recall, "look_up", reading_for_long)
                    tasks.append(asyncio.create_task(writer.submit(NEXT)))
                    await database.until_waiting("PgSleep")
            with pytest.raises(Unavailable) as caught:
                await tasks[0]
            assert caught.value.effect_unknown
            await database.until_waiting("advisory")
            assert await database.run("SELECT 1 FROM transfers WHERE transfer_id = 't'") == []
        await until(lambda: writer.leads, _SOON_S, "it leads again")
        assert isinstance(await writer.submit(MOVE), Transfer)
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(await database.run("SELECT 1 FROM entries WHERE transfer_id = 't'")) == 1
