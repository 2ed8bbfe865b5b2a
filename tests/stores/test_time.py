"""Deadlines: a hold goes back when its time is over, whoever has died and whatever the clocks do."""

import pytest
from plm.domain.errors import Code, Conflict
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer

HELD = demo_mesh.whole_payment("p")[:4]


async def test_holds_go_back_when_their_time_is_over_though_nobody_asks(database: Database) -> None:
    now = [1_000]
    async with leading_writer(database.ledger, lambda: now[0]) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *HELD])
        assert (await database.balance("link/a/b"))[1] == 1100
        now[0] += 5_001
        await database.until_released("link/a/b")
        with pytest.raises(Conflict) as caught:
            await writer.submit(demo_mesh.post_order("p"))
        assert caught.value.code is Code.ATTEMPT_CLOSED
    assert await database.balance("link/a/b") == (demo_mesh.VOLUME, 0)


async def test_holds_of_a_ledger_that_died_go_back_after_its_restart(database: Database) -> None:
    async with leading_writer(database.ledger, lambda: 1_000) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *HELD])
    async with leading_writer(database.ledger, lambda: 6_001):
        await database.until_released("link/a/b")
    assert await database.balance("link/a/b") == (demo_mesh.VOLUME, 0)
    states = await database.run("SELECT state, close_reason FROM attempts")
    assert [tuple(row) for row in states] == [("closed", "expired")]


async def test_a_clock_that_jumps_back_brings_no_time_back_and_keeps_no_hold(
    database: Database,
) -> None:
    now = [100_000, 0]  # the wall's, which somebody sets, and what has really passed
    async with leading_writer(database.ledger, lambda: now[0], lambda: now[1]) as writer:
        await ask_all(writer, demo_mesh.founding())
        now[0] = 5
        await ask_all(writer, HELD)
        now[1] = 5_001
        await database.until_released("link/a/b")
    times = await database.run("SELECT DISTINCT created_at_ms FROM entries ORDER BY 1")
    assert [row["created_at_ms"] for row in times] == [100_000, 105_001]


async def test_a_hold_of_a_writer_whose_clock_was_ahead_goes_back_in_bounded_time(
    database: Database,
) -> None:
    async with leading_writer(database.ledger, lambda: 10**12) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *HELD])
    now = [1_000]
    async with leading_writer(database.ledger, lambda: now[0]):
        now[0] += 30_001
        await database.until_released("link/a/b")
