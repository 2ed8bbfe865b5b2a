"""The work queue: never twice at once, never lost, later when it failed."""

import asyncio
import random

import pytest
from plmop.queue import RETRY_FIRST_S, RETRY_MAX_S, WorkQueue
from support.waiting import until

SECONDS_MAX = 5.0


async def taken(queue: WorkQueue[str]) -> str:
    return await asyncio.wait_for(queue.take(), SECONDS_MAX)


async def test_a_key_waits_only_once() -> None:
    queue = WorkQueue[str]()
    for _ in range(5):
        queue.add("a")
    assert queue.depth == 1


async def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    queue = WorkQueue[str]()
    queue.add_all(["c", "a", "b", "a"])
    assert [await taken(queue) for _ in range(3)] == ["c", "a", "b"]


async def test_a_key_that_is_added_while_busy_runs_again_afterwards() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("a")
    assert queue.depth == 0, "nobody else may take it meanwhile"
    queue.done("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert queue.depth == 0


async def test_failures_come_back_after_growing_delays_up_to_a_limit() -> None:
    queue = WorkQueue[str]()
    delays = [queue.failed("a") for _ in range(12)]
    assert delays[:3] == [RETRY_FIRST_S, 2 * RETRY_FIRST_S, 4 * RETRY_FIRST_S]
    assert delays == sorted(delays)
    assert delays[-1] == RETRY_MAX_S
    queue.done("a")
    assert queue.failed("a") == RETRY_FIRST_S


async def test_of_two_wishes_for_later_the_earlier_counts() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", 3600)
    queue.add_after("a", 0.01)
    queue.add_after("a", 3600)
    assert await taken(queue) == "a"


async def test_a_taker_waits_until_there_is_something() -> None:
    queue = WorkQueue[str]()
    taking = asyncio.create_task(taken(queue))
    await asyncio.sleep(0)
    assert not taking.done()
    queue.add("a")
    assert await taking == "a"


@pytest.mark.parametrize("seed", range(5))
async def test_with_many_workers_no_key_is_worked_on_twice_at_once_and_none_is_lost(
    seed: int,
) -> None:
    """Every add is followed by a run that began after it."""
    queue, dice = WorkQueue[int](), random.Random(seed)  # noqa: S311 - a test's dice
    added, seen = dict.fromkeys(range(10), 0), dict.fromkeys(range(10), 0)
    busy: set[int] = set()

    async def work() -> None:
        while True:
            key = await queue.take()
            assert key not in busy
            busy.add(key)
            seen[key] = added[key]
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            busy.remove(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for _ in range(300):
        key = dice.randrange(10)
        added[key] += 1
        queue.add(key)
        if dice.random() < 0.3:
            await asyncio.sleep(0)
    await until(lambda: not queue.depth and not busy, SECONDS_MAX, "all keys were worked on")
    assert seen == added
    for worker in workers:
        assert not worker.done()
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
