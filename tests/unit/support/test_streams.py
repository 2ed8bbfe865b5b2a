"""A stream of payments beside other work: it lasts as long as that does, and hides no failure of either."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plmkit.paying import FileRun, Tally
from plmkit.payment_file import Line
from plmkit.receipts import Order, Payment
from plmkit.result_file import Journal
from support.streams import pay_beside
from support.waiting import until


class Payer:
    """Settles; counts what it was asked and what it answered."""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = 0

    async def pay(self, order: Order, key: str) -> Payment:
        self.asked += 1
        await asyncio.sleep(0)
        self.answered += 1
        made: dict[str, Any] = {**order.body(), "paymentId": key, "state": "settled", "fee": "0.00"}
        return Payment.read({**made, "route": ["a", "d"]})


def lines(count: int = 1_000_000) -> Iterator[Line]:
    """A stream that breaks after a while."""
    for number in range(count):
        yield Line(number, f"k{number}", Order("a", "d", "1.00", "USD"))
    raise ArithmeticError("no more lines")


async def stream(
    payer: Payer, work: Any, folder: Path, made: Iterator[Line] | None = None
) -> Tally:
    with Journal(folder / "results.csv") as journal:
        run = FileRun(payer, journal, asyncio.Event(), lambda *_: None, 4)
        return await pay_beside(work, run, made or lines())


async def some(payer: Payer) -> None:
    await until(lambda: payer.answered > 20, 5, "payments")


async def test_it_lasts_as_long_as_the_work_and_comes_to_its_end(tmp_path: Path) -> None:
    payer = Payer()
    tally = await stream(payer, some(payer), tmp_path)
    assert payer.answered > 20
    assert tally.now == {"settled": payer.asked}


async def test_work_that_fails_is_told_when_the_stream_has_come_to_its_end(tmp_path: Path) -> None:
    payer = Payer()

    async def fail() -> None:
        await some(payer)
        raise AssertionError("not within 1 s: something")

    with pytest.raises(AssertionError, match="something"):
        await stream(payer, fail(), tmp_path)
    assert payer.asked == payer.answered


async def test_a_stream_that_fails_ends_the_work(tmp_path: Path) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(ArithmeticError, match="no more lines"):
            await stream(Payer(), asyncio.Event().wait(), tmp_path, lines(20))
