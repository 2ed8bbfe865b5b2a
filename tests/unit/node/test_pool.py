"""The worker pool: so many at work, so many waiting, and whoever comes beyond that is turned away at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain.errors import Code, Unavailable
from plm.node.engine import Pool
from prometheus_client import REGISTRY
from support import virtual_time

_T = TypeVar("_T")


def run(story: Coroutine[Any, Any, _T]) -> _T:
    return virtual_time.run(story)


class Crowd:
    """Payments that each keep a worker for a second."""

    def __init__(self, workers_max: int, queue_max: int) -> None:
        self.pool = Pool(workers_max, queue_max)
        self.at_work = self.at_work_most = self.done = 0
        self.turned_away: list[Unavailable] = []

    async def come(self) -> None:
        try:
            async with self.pool.worker():
                self.at_work += 1
                self.at_work_most = max(self.at_work_most, self.at_work)
                await asyncio.sleep(1)
                self.at_work -= 1
                self.done += 1
        except Unavailable as error:
            self.turned_away.append(error)


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 30))
def test_no_more_work_and_no_more_wait_than_allowed(
    workers_max: int, queue_max: int, count: int
) -> None:
    """All that fit are served, in as many turns as it takes; nobody else is kept."""

    async def story() -> Crowd:
        crowd = Crowd(workers_max, queue_max)
        await asyncio.gather(*(crowd.come() for _ in range(count)))
        return crowd

    crowd = run(story())
    fit = min(count, workers_max + queue_max)
    assert (crowd.done, len(crowd.turned_away)) == (fit, count - fit)
    assert crowd.at_work_most == min(workers_max, fit)


def test_who_is_turned_away_hears_it_at_once_and_when_to_come_again() -> None:
    async def story() -> tuple[Crowd, int]:
        crowd = Crowd(1, 1)
        waiting = [asyncio.create_task(crowd.come()) for _ in range(2)]
        await asyncio.sleep(0)
        await crowd.come()
        heard_ms = virtual_time.now_ms()
        await asyncio.gather(*waiting)
        return crowd, heard_ms

    crowd, heard_ms = run(story())
    [error] = crowd.turned_away
    assert heard_ms == 0
    assert (error.code, error.effect_unknown) == (Code.OVERLOADED, False)
    assert error.retry_after_ms is not None


def test_who_stops_waiting_leaves_its_place_to_others() -> None:
    """A caller that hung up: its place in the queue, or at work, is free again."""

    async def story() -> Crowd:
        crowd = Crowd(1, 1)
        working, waiting = (asyncio.create_task(crowd.come()) for _ in range(2))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.sleep(0.1)
        next_one = asyncio.create_task(crowd.come())
        await asyncio.sleep(0.1)
        working.cancel()
        await next_one
        return crowd

    crowd = run(story())
    assert (crowd.done, crowd.turned_away) == (1, [])


def test_a_crowd_leaves_nothing_behind() -> None:
    async def story() -> tuple[int, float]:
        crowd = Crowd(4, 8)
        for _ in range(20):
            await asyncio.gather(*(crowd.come() for _ in range(100)))
        return crowd.done, virtual_time.now_ms() / 1000

    done, took_s = run(story())
    assert done == 20 * 12
    assert took_s == pytest.approx(20 * 3)
    gauges = ("plm_node_busy", "plm_node_waiting")
    assert [REGISTRY.get_sample_value(name) for name in gauges] == [0, 0]
