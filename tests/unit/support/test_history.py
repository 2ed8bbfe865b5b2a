"""The recorder: each outcome under its right name, a cancelled call too."""

import asyncio
from pathlib import Path

import pytest
from plmkit.problems import Problem
from plmkit.receipts import Order, Payment
from support.history import History, RecordedPayer, read_history

ORDER = Order("a", "d", "1.00", "USD")


class OneAnswer:
    """Pays, or not, as it was told."""

    def __init__(self, answer: Payment | Problem | None) -> None:
        self._answer = answer

    async def pay(self, order: Order, key: str) -> Payment:
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, Problem):
            raise self._answer
        assert self._answer is not None
        return self._answer


def payment(state: str) -> Payment:
    return Payment.read({"paymentId": "pay_1", "state": state, **ORDER.body()})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (payment("settled"), "ok"),
        (payment("refused"), "fail"),
        (payment("open"), "info"),
        (Problem("invalid_amount", "zero", status=400), "fail"),
        (Problem("no_answer", "lost", effect_unknown=True), "info"),
        (Problem("no_route", "none now", status=503), "info"),
    ],
)
async def test_outcomes_have_their_right_names(
    tmp_path: Path, answer: Payment | Problem, kind: str
) -> None:
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        payer = RecordedPayer(OneAnswer(answer), history)
        if isinstance(answer, Problem):
            with pytest.raises(Problem):
                await payer.pay(ORDER, "k1")
        else:
            await payer.pay(ORDER, "k1")
    assert [event.kind for event in read_history(path)] == ["invoke", kind]


async def test_an_abandoned_call_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        call = asyncio.create_task(RecordedPayer(OneAnswer(None), history).pay(ORDER, "k1"))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
    assert [event.kind for event in read_history(path)] == ["invoke", "info"]
