"""The gateway's client: what is sent again, with which key, and what a lost answer is called."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from plmkit.api import Api, Patience
from plmkit.problems import Problem
from plmkit.receipts import Order

ORDER = Order("a", "d", "10000.00", "USD")
SETTLED = {
    "paymentId": "pay_1",
    "state": "settled",
    "from": "a",
    "to": "d",
    "amount": "10000.00",
    "fee": "1.00",
    "currency": "USD",
    "route": ["a", "b", "d"],
    "attempts": [
        {
            "attempt": 1,
            "state": "posted",
            "route": ["a", "b", "d"],
            "openedAtMs": 1000,
            "endedAtMs": 1015,
            "holds": [
                {
                    "hop": 0,
                    "holdId": "pay_1/1/0",
                    "state": "posted",
                    "entrySeq": 7,
                    "entryHash": "00ff",
                }
            ],
        }
    ],
    "createdAtMs": 990,
    "endedAtMs": 1015,
}

Answer = Callable[[httpx.Request], httpx.Response]


class Script:
    """Answers requests one after the other and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = iter(answers)
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        following = next(self._answers)
        if isinstance(following, Exception):
            raise following
        return following

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def api(self, **patience: Any) -> Api:
        client = httpx.AsyncClient(
            base_url="https://gateway", transport=httpx.MockTransport(self.answer)
        )
        ticks = itertools.count()
        return Api(
            client,
            patience=Patience(**patience),
            sleep=self.sleep,
            clock=lambda: next(ticks) / 1000,
        )


def problem(status: int, code: str, **extra: Any) -> httpx.Response:
    headers = extra.pop("headers", {})
    return httpx.Response(
        status, json={"code": code, "detail": code.replace("_", " "), **extra}, headers=headers
    )


async def test_a_payment_is_read_with_its_attempts_and_hashes() -> None:
    script = Script(httpx.Response(200, json=SETTLED))
    payment = await script.api().pay(ORDER, "k1")
    assert payment.state == "settled"
    assert payment.route == ("a", "b", "d")
    assert payment.attempts[0].holds[0].entry_hash == "00ff"
    assert script.asked[0].headers["idempotency-key"] == "k1"


async def test_a_lost_answer_is_asked_for_again_with_the_same_key() -> None:
    script = Script(httpx.ReadTimeout("late"), httpx.Response(200, json=SETTLED))
    assert (await script.api().pay(ORDER, "k1")).state == "settled"
    keys = {request.headers["idempotency-key"] for request in script.asked}
    bodies = {request.content for request in script.asked}
    assert (len(script.asked), keys, len(bodies)) == (2, {"k1"}, 1)


async def test_a_final_refusal_is_not_asked_for_again() -> None:
    script = Script(problem(400, "invalid_amount"))
    with pytest.raises(Problem) as refused:
        await script.api().pay(ORDER, "k1")
    assert refused.value.is_final
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("answer", "unknown"),
    [
        (httpx.ReadError("reset"), True),
        (httpx.ConnectError("refused"), False),
        (problem(503, "no_route"), False),
        (problem(503, "ledger_unavailable", effectUnknown=True), True),
        (httpx.Response(502, text="<html>"), True),
        (problem(409, "payment_in_progress"), False),
    ],
)
async def test_patience_ends_and_says_whether_the_effect_is_unknown(
    answer: httpx.Response | Exception, unknown: bool
) -> None:
    script = Script(*[answer] * 3)
    with pytest.raises(Problem) as given_up:
        await script.api(tries_max=3).pay(ORDER, "k1")
    assert len(script.asked) == 3
    assert given_up.value.effect_unknown is unknown
    assert not given_up.value.is_final


async def test_one_lost_answer_among_clear_ones_leaves_the_effect_unknown() -> None:
    """The lost request may still be under way when a later one is told that there is no route."""
    script = Script(httpx.ReadTimeout("late"), problem(503, "no_route"))
    with pytest.raises(Problem) as given_up:
        await script.api(tries_max=2).pay(ORDER, "k1")
    assert given_up.value.effect_unknown


@pytest.mark.parametrize(
    "other", [httpx.Response(404, text="<html>"), problem(401, "unauthenticated")]
)
async def test_who_knows_nothing_of_the_payment_overrules_no_doubt(other: httpx.Response) -> None:
    """The lost request may have been carried out before the key was changed, or the edge lost its way."""
    script = Script(httpx.ReadTimeout("late"), other)
    with pytest.raises(Problem) as given_up:
        await script.api().pay(ORDER, "k1")
    assert given_up.value.effect_unknown
    assert not given_up.value.is_final


async def test_the_gateways_own_waiting_time_is_kept() -> None:
    busy = problem(429, "overloaded", headers={"retry-after": "2"})
    script = Script(busy, httpx.Response(200, json=SETTLED))
    await script.api().pay(ORDER, "k1")
    assert script.slept == [2.0]


async def test_waits_grow_and_stay_below_their_limit() -> None:
    script = Script(*[problem(503, "no_route")] * 6)
    with pytest.raises(Problem):
        await script.api(tries_max=6, wait_s=0.1, wait_s_max=0.5).pay(ORDER, "k1")
    assert len(script.slept) == 5
    assert script.slept[0] <= 0.1
    assert 0.2 <= max(script.slept) <= 0.5


async def test_a_node_told_to_leave_is_told_once() -> None:
    """Its answer is lost by design; a second asking would hit the process that follows it."""
    script = Script(httpx.RemoteProtocolError("closed"))
    await script.api().exit_node("b")
    assert len(script.asked) == 1
    with pytest.raises(Problem, match="debug_disabled"):
        await Script(problem(403, "debug_disabled")).api().exit_node("b")


async def test_an_answer_without_the_promised_fields_is_named() -> None:
    script = Script(httpx.Response(200, json={"state": "settled"}))
    with pytest.raises(Problem, match="paymentId"):
        await script.api().pay(ORDER, "k1")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json=SETTLED | {"attempts": [1]}),
        httpx.Response(200, json=SETTLED | {"createdAtMs": "soon"}),
        httpx.Response(200, content=json.dumps(SETTLED).replace("990", "1e999")),
        httpx.Response(200, json=[SETTLED]),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, text="<html>"),
        httpx.Response(204),
        httpx.Response(301, headers={"location": "https://elsewhere/"}),
    ],
)
async def test_whatever_else_answers_is_no_receipt(answer: httpx.Response) -> None:
    """And nobody knows then whether the payment was made."""
    with pytest.raises(Problem, match="bad_answer") as told:
        await Script(answer).api().pay(ORDER, "k1")
    assert told.value.effect_unknown


async def test_an_answer_that_cannot_be_unpacked_was_lost() -> None:
    script = Script(httpx.DecodingError("incorrect header check"))
    with pytest.raises(Problem, match="no_answer") as told:
        await script.api(tries_max=1).pay(ORDER, "k1")
    assert told.value.effect_unknown


@pytest.mark.parametrize("wait", ["\u00b2", "soon", "-1", "9" * 400])
async def test_a_waiting_time_that_is_none_is_not_kept(wait: str) -> None:
    busy = problem(429, "overloaded", headers={"retry-after": wait.encode("latin-1")})
    script = Script(busy, httpx.Response(200, json=SETTLED))
    assert (await script.api(wait_s=0.1).pay(ORDER, "k1")).state == "settled"
    assert script.slept[0] <= 0.1


@pytest.mark.parametrize("ok", ["false", 1, None])
async def test_only_a_plain_yes_is_a_verdict(ok: object) -> None:
    verdict = {
        "ok": ok,
        "entries": 3,
        "headSeq": 3,
        "headHash": "ab",
        "anchoredSeq": 3,
        "unanchored": 0,
        "findings": [],
        "sums": {},
        "elapsedMs": 2,
    }
    with pytest.raises(Problem, match="bad_answer"):
        await Script(httpx.Response(200, json=verdict)).api().verify()
