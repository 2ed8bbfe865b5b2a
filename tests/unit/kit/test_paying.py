"""Paying a file: bounded, in order where a key is shared, every result on disk, a stop that loses nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import KitError
from plmkit.paying import FileRun, Tally
from plmkit.payment_file import BadLine, Line
from plmkit.problems import Problem
from plmkit.receipts import Order, Payment
from plmkit.result_file import Journal, Result

ORDER = Order("a", "d", "1.00", "USD")


def payment(order: Order, key: str, state: str = "settled", **changes: Any) -> Payment:
    return Payment.read(
        {
            "paymentId": f"pay_{key}",
            "state": state,
            **order.body(),
            "fee": "1.00",
            "route": ["a", "b", "d"],
            **changes,
        }
    )


class FakePayer:
    """Answers as told, and remembers how many it had in hand at once."""

    def __init__(self, answer: Callable[[Order, str], Awaitable[Payment]] | None = None) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.in_hand = 0
        self.in_hand_max = 0

    async def pay(self, order: Order, key: str) -> Payment:
        self.asked.append(key)
        self.in_hand += 1
        self.in_hand_max = max(self.in_hand_max, self.in_hand)
        try:
            await asyncio.sleep(0)
            return payment(order, key) if self._answer is None else await self._answer(order, key)
        finally:
            self.in_hand -= 1


def lines(count: int) -> list[Line | BadLine]:
    return [Line(number, f"k{number}", ORDER) for number in range(2, 2 + count)]


async def run(
    path: Path, asked: list[Line | BadLine], payer: FakePayer, *, concurrency: int = 4
) -> tuple[Tally, list[Result]]:
    seen: list[Result] = []
    with Journal(path) as journal:
        file_run = FileRun(
            payer, journal, asyncio.Event(), lambda result, _: seen.append(result), concurrency
        )
        return await file_run.pay_all(asked), seen


async def test_every_line_is_paid_once_and_no_more_than_allowed_at_a_time(tmp_path: Path) -> None:
    payer = FakePayer()
    tally, seen = await run(tmp_path / "r.csv", lines(50), payer)
    assert sorted(payer.asked) == sorted(f"k{number}" for number in range(2, 52))
    assert payer.in_hand_max == 4
    assert tally.now == {"settled": 50}
    assert tally.is_clean
    assert len(seen) == 50


async def test_a_second_run_asks_for_nothing(tmp_path: Path) -> None:
    await run(tmp_path / "r.csv", lines(20), FakePayer())
    again = FakePayer()
    tally, _ = await run(tmp_path / "r.csv", lines(20), again)
    assert again.asked == []
    assert tally.before == {"settled": 20}
    assert tally.is_clean


async def test_bad_lines_and_refusals_stop_nothing(tmp_path: Path) -> None:
    async def answer(order: Order, key: str) -> Payment:
        if key == "k3":
            raise Problem("invalid_amount", "an amount is above zero", status=400)
        if key == "k4":
            raise Problem("no_answer", "lost", effect_unknown=True)
        return payment(order, key, "refused" if key == "k5" else "settled")

    asked = [*lines(10), BadLine(12, "x", "1 columns where 5 are needed")]
    tally, seen = await run(tmp_path / "r.csv", asked, FakePayer(answer))
    assert tally.now == {"settled": 7, "refused": 2, "unknown": 1, "bad_line": 1}
    assert not tally.is_clean
    assert tally.has_refusals
    assert {result.line: result.code for result in seen if result.state == "refused"} == {
        3: "invalid_amount",
        5: "",
    }


@pytest.mark.parametrize(
    ("problem", "asked_max"),
    [
        (Problem("unauthenticated", "no such key", status=401), 4),
        (Problem("unreachable", "refused"), 8),
    ],
)
async def test_a_run_that_nobody_serves_ends_and_refuses_nothing(
    tmp_path: Path, problem: Problem, asked_max: int
) -> None:
    """A key that was changed, or a gateway that is gone: of the payments it says nothing, and a later run asks."""

    async def answer(order: Order, key: str) -> Payment:
        if key == "k2":
            return payment(order, key)
        raise problem

    payer = FakePayer(answer)
    with pytest.raises(Problem) as ended:
        await run(tmp_path / "r.csv", lines(1_000), payer)
    assert ended.value is problem
    assert len(payer.asked) <= 1 + asked_max
    again = FakePayer()
    tally, _ = await run(tmp_path / "r.csv", lines(1_000), again)
    assert sorted(again.asked) == sorted(f"k{number}" for number in range(3, 1_002))
    assert tally.is_clean


async def test_a_gateway_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    async def answer(order: Order, key: str) -> Payment:
        if int(key[1:]) % 4:
            raise Problem("unreachable", "refused")
        return payment(order, key)

    tally, _ = await run(tmp_path / "r.csv", lines(100), FakePayer(answer))
    assert tally.now == {"settled": 25, "unfinished": 75}
    assert not tally.is_clean
    assert not tally.has_refusals, "the same command may settle them"


async def test_lines_that_share_a_key_go_in_the_order_of_the_file(tmp_path: Path) -> None:
    order_of_ends: list[str] = []

    async def answer(order: Order, key: str) -> Payment:
        for _ in range(20 if order.amount == "1.00" else 0):
            await asyncio.sleep(0)
        order_of_ends.append(order.amount)
        return payment(order, key)

    asked: list[Line | BadLine] = [
        Line(2, "same", Order("a", "d", "1.00", "USD")),
        Line(3, "same", Order("a", "d", "2.00", "USD")),
    ]
    await run(tmp_path / "r.csv", asked, FakePayer(answer))
    assert order_of_ends == ["1.00", "2.00"]


async def test_a_stop_lets_payments_in_flight_finish_and_starts_no_other(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    stop = asyncio.Event()

    async def answer(order: Order, key: str) -> Payment:
        if key == "k6":
            stop.set()
        await asyncio.sleep(0)
        return payment(order, key)

    payer = FakePayer(answer)
    with Journal(path) as journal:
        tally = await FileRun(payer, journal, stop, lambda *_: None, 4).pay_all(lines(50))
    assert tally.stopped
    assert not tally.is_clean
    assert tally.now["settled"] == len(payer.asked) < 15

    rest = FakePayer()
    tally, _ = await run(path, lines(50), rest)
    assert sorted(payer.asked + rest.asked) == sorted(f"k{number}" for number in range(2, 52))
    assert tally.is_clean


async def test_a_stop_starts_not_even_the_payment_that_waits_for_its_turn(tmp_path: Path) -> None:
    stop, go_on = asyncio.Event(), asyncio.Event()

    async def answer(order: Order, key: str) -> Payment:
        await go_on.wait()
        return payment(order, key)

    payer = FakePayer(answer)
    with Journal(tmp_path / "r.csv") as journal:
        file_run = FileRun(payer, journal, stop, lambda *_: None, 4)
        running = asyncio.create_task(file_run.pay_all(lines(50)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(payer.asked) == 4
        stop.set()
        go_on.set()
        tally = await running
    assert tally.now == {"settled": 4}
    assert len(payer.asked) == 4


async def test_a_journal_that_cannot_be_written_ends_the_run_with_its_own_reason(
    tmp_path: Path,
) -> None:
    """Not with a group of errors that nobody can read; and nothing is left running."""

    class FullDisk(Journal):
        def append(self, results: Sequence[Result]) -> None:
            if any(result.line > 20 for result in results):
                raise KitError("no space", "make some")
            super().append(results)

    payer = FakePayer()
    before = asyncio.all_tasks()
    with FullDisk(tmp_path / "r.csv") as journal:
        file_run = FileRun(payer, journal, asyncio.Event(), lambda *_: None, 4)
        with pytest.raises(KitError, match="no space"):
            await file_run.pay_all(lines(1_000))
    assert len(payer.asked) < 100
    assert payer.in_hand == 0
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_an_open_payment_has_no_final_result(tmp_path: Path) -> None:
    async def answer(order: Order, key: str) -> Payment:
        return payment(order, key, "open")

    tally, _ = await run(tmp_path / "r.csv", lines(1), FakePayer(answer))
    assert tally.now == {"unfinished": 1}
    again = FakePayer()
    await run(tmp_path / "r.csv", lines(1), again)
    assert again.asked == ["k2"]


def test_percentiles_are_taken_over_the_payments_of_this_run() -> None:
    tally = Tally(latencies_ms=[float(number) for number in range(1, 101)])
    assert (tally.percentile_ms(50), tally.percentile_ms(99)) == (51.0, 100.0)
    assert Tally().percentile_ms(99) == 0.0
