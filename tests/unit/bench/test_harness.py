"""What a bench says of its figures: short, too noisy, not measured, or good, and the exit code that follows."""

import asyncio
import random
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plmkit.api import Api
from plmkit.problems import UNREACHABLE, Problem
from plmkit.receipts import Order, Payment
from plmkit.state import find_places

from bench import payments
from bench.harness import AGAIN, NOISE_MAX, OURS, PAR, Case, Ratio, Report, Row, table

TICK_S = 0.01
CHANCE = random.Random(1)  # noqa: S311 - a bench's draw, no secret


def row(name: str, p50: float, rate: float = 0.0) -> Row:
    return Row(name, p50, p50, p50, p50, rate)


def case(*ratios: Ratio, again: float = 10.0) -> Case:
    return Case("a case", "µs", [row(OURS, 10.0), row(AGAIN, again)], list(ratios))


@given(st.floats(0.01, 100), st.none() | st.floats(0.01, 100))
def test_a_ratio_is_short_below_its_floor_alone(value: float, floor: float | None) -> None:
    ratio = Ratio("peer / ours", value, floor)
    assert ratio.is_short == (floor is not None and value < floor)
    verdict = "short: peer / ours" if ratio.is_short else "ok"
    assert case(ratio).verdict == verdict
    assert Report("part", [case(ratio)], ()).exit_code == int(ratio.is_short)


def test_a_race_that_differs_from_itself_is_neither_good_nor_bad() -> None:
    good, short = Ratio("peer / ours", 9, 3), Ratio("peer / ours", 1, 3)
    for ratio in (good, short):
        noisy = case(ratio, again=10 * (1 + NOISE_MAX) + 0.1)
        assert noisy.verdict == "invalid: ours differs from itself by 11%"
        assert Report("part", [noisy], ()).exit_code == 1
    assert case(good, again=10 * (1 + NOISE_MAX) - 0.1).verdict == "ok"


def test_noise_is_that_of_the_rates_where_there_are_rates() -> None:
    found = Case("", "ms", [row(OURS, 10, rate=100), row(AGAIN, 20, rate=95)])
    assert found.noise == pytest.approx(0.05)
    assert Case("", "ms", [row(OURS, 10)]).noise == 0


def test_one_bad_case_is_a_bad_bench() -> None:
    good, short = case(Ratio("b / ours", 2, 1)), case(Ratio("b / ours", 0.5, 1))
    assert Report("part", [good, good], ()).verdict == "ok"
    assert Report("part", [good, short], ()).exit_code == 1


@pytest.mark.parametrize("cases", [[], [Case("a case", "ms", [])], [case()]])
def test_what_was_not_measured_fails(cases: list[Case]) -> None:
    for each in cases:
        each.missing.append("5 hops")
    report = Report("part", cases, ())
    assert report.exit_code == 1
    assert "not measured" in table(report)


def test_a_par_is_told_as_one() -> None:
    said = table(Report("part", [case(Ratio("igraph / ours", 0.95, PAR))], ()))
    assert "igraph / ours: 0.95 (on a par, to reach: 0.9)" in said


def test_without_a_platform_payments_are_not_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLM_STATE_DIR", str(tmp_path))
    assert not find_places().credentials.exists()
    report = payments.run()
    assert report.exit_code == 1
    assert "plm up" in table(report)


class PaperApi:
    """Settles as many payments as it is told to, refuses or loses the others; every route has one hop."""

    def __init__(self, settling: int, state: str = "refused") -> None:
        self._settling = settling
        self._state = state

    async def routes(self, order: Order, *, k: int) -> dict[str, Any]:
        return {"routes": [{"nodes": [order.from_node, order.to_node]}]}

    async def pay(self, order: Order, key: str) -> Payment:
        await asyncio.sleep(0)
        self._settling -= 1
        if self._settling < 0 and self._state == "lost":
            raise Problem(UNREACHABLE, "away")
        return Payment.read(
            {
                "paymentId": key,
                "state": "settled" if self._settling >= 0 else self._state,
                **order.body(),
                "fee": "0.00",
                "route": [order.from_node, order.to_node],
            }
        )


def paper(settling: int, state: str = "refused") -> Api:
    return cast("Api", PaperApi(settling, state))


@pytest.mark.parametrize("state", ["refused", "lost"])
async def test_settled_payments_alone_are_timed(
    monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    ticks = count()
    monkeypatch.setattr(
        payments, "time", SimpleNamespace(perf_counter=lambda: next(ticks) * TICK_S)
    )
    settling = payments.SAMPLES_MIN
    found, unsettled = await payments._stream(paper(settling, state), ["a", "b"], 2, CHANCE)
    assert unsettled > 0
    assert found.rate == pytest.approx(settling / payments.STREAM_S, rel=0.02)


async def test_too_few_payments_make_no_figure() -> None:
    few = paper(payments.WARM_UP + payments.SAMPLES_MIN - 1)
    with pytest.raises(payments.NotMeasured, match=r"49 of 200 .* 50 are needed"):
        await payments._one_by_one(few, ("a", "b"), 1)
    with pytest.raises(payments.NotMeasured, match="over 2 hops"):
        await payments._one_by_one(paper(10**6), ("a", "b"), 2)


async def test_a_length_that_no_route_has_is_sought_so_often_and_no_more() -> None:
    with pytest.raises(payments.NotMeasured, match="none of 500 pairs has a route of 4 hops"):
        await payments._pair_of(paper(0), ["a", "b"], 4, CHANCE)
