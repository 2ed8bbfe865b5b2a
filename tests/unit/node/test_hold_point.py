"""The hold point: armed once, it holds one payment, for as long as was said and no longer."""

import asyncio

import pytest
from plm.node.hold_point import ARMED_S_MAX, HOLD_MS_MAX, HoldPoint, HoldPointState
from support import virtual_time


def test_unarmed_it_holds_nobody() -> None:
    async def story() -> tuple[int, HoldPointState]:
        point = HoldPoint()
        await point.pass_by("p", 1)
        return virtual_time.now_ms(), point.state

    assert virtual_time.run(story()) == (0, HoldPointState.IDLE)


@pytest.mark.parametrize(
    ("asked_ms", "held_ms"), [(700, 700), (0, 1), (-5, 1), (10**9, HOLD_MS_MAX)]
)
def test_armed_it_holds_one_payment_for_its_time(asked_ms: int, held_ms: int) -> None:
    async def story() -> list[int]:
        point = HoldPoint()
        point.arm(asked_ms)
        passed = []

        async def pass_by(payment: str) -> None:
            await point.pass_by(payment, 1)
            passed.append(virtual_time.now_ms())

        await asyncio.gather(pass_by("p"), pass_by("q"))
        assert point.state is HoldPointState.IDLE
        return passed

    assert virtual_time.run(story()) == [0, held_ms]


def test_who_waits_for_it_learns_which_payment_stands_there() -> None:
    async def story() -> None:
        point = HoldPoint()
        point.arm(1000)
        waiting = asyncio.create_task(point.wait_reached(5000))
        await asyncio.sleep(2)
        assert not waiting.done()
        passing = asyncio.create_task(point.pass_by("p", 3))
        await waiting
        assert (point.state, point.held.payment_id, point.held.attempt) == ("reached", "p", 3)
        await passing

    virtual_time.run(story())


def test_a_wait_ends_when_its_time_is_over() -> None:
    async def story() -> int:
        point = HoldPoint()
        point.arm(1000)
        await point.wait_reached(300)
        return virtual_time.now_ms()

    assert virtual_time.run(story()) == 300


def test_armed_again_while_it_holds_it_stays_armed_for_the_next() -> None:
    """The first payment's going on is not the second one's."""

    async def story() -> None:
        point = HoldPoint()
        point.arm(1000)
        first = asyncio.create_task(point.pass_by("p", 1))
        await asyncio.sleep(0.5)
        point.arm(1000)
        await first
        assert point.state is HoldPointState.ARMED
        second = asyncio.create_task(point.pass_by("q", 1))
        await point.wait_reached(0)
        assert (point.state, point.held.payment_id) == ("reached", "q")
        await second

    virtual_time.run(story())


def test_a_payment_that_dies_there_frees_it() -> None:
    async def story() -> HoldPointState:
        point = HoldPoint()
        point.arm(1000)
        passing = asyncio.create_task(point.pass_by("p", 1))
        await asyncio.sleep(0.1)
        passing.cancel()
        await asyncio.sleep(0)
        return point.state

    assert virtual_time.run(story()) is HoldPointState.IDLE


def test_left_armed_it_forgets_and_holds_nobody() -> None:
    """Whoever armed it is gone: a payment that comes later has nothing to do with it."""

    async def story() -> tuple[HoldPointState, int]:
        point = HoldPoint()
        point.arm(5000)
        await asyncio.sleep(ARMED_S_MAX - 0.1)
        assert point.state is HoldPointState.ARMED
        await asyncio.sleep(0.2)
        before_ms = virtual_time.now_ms()
        await point.pass_by("p", 1)
        return point.state, virtual_time.now_ms() - before_ms

    assert virtual_time.run(story()) == (HoldPointState.IDLE, 0)


def test_armed_again_it_is_armed_for_the_whole_time_again() -> None:
    async def story() -> None:
        point = HoldPoint()
        point.arm(5000)
        await asyncio.sleep(ARMED_S_MAX - 0.1)
        point.arm(5000)
        await asyncio.sleep(ARMED_S_MAX - 0.1)
        assert point.state is HoldPointState.ARMED

    virtual_time.run(story())


def test_whom_it_holds_it_does_not_forget() -> None:
    """Armed for the whole time, then reached: the hold's own time counts."""

    async def story() -> None:
        point = HoldPoint()
        point.arm(5000)
        await asyncio.sleep(ARMED_S_MAX - 0.1)
        passing = asyncio.create_task(point.pass_by("p", 1))
        await asyncio.sleep(4.9)
        assert (point.state, point.held.payment_id) == ("reached", "p")
        await passing
        assert point.state is HoldPointState.IDLE

    virtual_time.run(story())
