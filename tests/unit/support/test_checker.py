"""The judge itself: a sound run is VALID, every broken promise turns it red, a run without bite is INVALID."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from plm.domain.ids import payment_id
from support.checker import check
from support.history import Event, History, read_history
from support.verdicts import Account, Bite, FinalRead, Outcome, PostedHop, Promise, Verdict

CLIENT = "operator"
BODY = {"from": "a", "to": "d", "amount": "100.00", "currency": "USD"}
BITE = Bite(faults_min=1, ok_min=1, rerouted_min=1, kinds=frozenset({"mesh-node"}))


def hops(key: str, attempt: int = 2) -> list[PostedHop]:
    payment = payment_id(CLIENT, key)
    return [
        PostedHop(payment, attempt, 0, "a", "c", 103_00, "USD"),
        PostedHop(payment, attempt, 1, "c", "d", 100_00, "USD"),
    ]


def receipt(key: str) -> dict[str, Any]:
    return {
        "paymentId": payment_id(CLIENT, key),
        "state": "settled",
        **BODY,
        "fee": "3.00",
        "route": ["a", "c", "d"],
        "attempts": [
            {"attempt": 1, "state": "closed", "route": ["a", "b", "d"]},
            {"attempt": 2, "state": "posted", "route": ["a", "c", "d"]},
        ],
    }


def fault(victim: str, kind: str, *, bit: bool) -> dict[str, Any]:
    return {"victim": victim, "kind": kind, "bit": bit}


@dataclass
class Run:
    """A sound run: k1 settled, k2 refused, k3 unknown and not posted, k4 unknown and posted; b was killed."""

    events: list[Event] = field(default_factory=list)
    posted: list[PostedHop] = field(default_factory=lambda: [*hops("k1"), *hops("k4")])
    pending: list[str] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    chain_ok: bool = True
    bite: Bite = BITE

    def __post_init__(self) -> None:
        self.ask(1, "k1", "ok", receipt("k1"))
        self.ask(2, "k2", "fail", {"code": "invalid_amount"})
        self.ask(3, "k3", "info", {"code": "no_answer"})
        self.ask(4, "k4", "info", {"code": "no_answer"})
        self.events.append(Event(99, "fault", 1, value=fault("b", "mesh-node", bit=True)))
        self.accounts = {
            "external/USD": Account("USD", -2_000_00),
            "link/a/c": Account("USD", 1_000_00 - 206_00),
            "link/c/a": Account("USD", 206_00),
            "link/c/d": Account("USD", 1_000_00 - 200_00),
            "link/d/c": Account("USD", 200_00),
        }

    def ask(
        self, number: int, key: str, outcome: Any, value: dict[str, Any], **changes: str
    ) -> None:
        body = BODY | changes
        self.events.append(Event(number, "invoke", number, key, body))
        self.events.append(Event(number, outcome, number, key, body, value))

    def verdict(self) -> Verdict:
        before = {
            "external/USD": Account("USD", -2_000_00),
            "link/a/c": Account("USD", 1_000_00),
            "link/c/d": Account("USD", 1_000_00),
        }
        final = FinalRead(self.posted, self.pending, self.accounts, self.chain_ok, before)
        return check(self.events, final, self.bite, client_id=CLIENT)


def test_a_sound_run_is_valid() -> None:
    verdict = Run().verdict()
    assert str(verdict).splitlines()[1:] == []
    assert verdict.outcome is Outcome.VALID
    assert verdict.counts["unknown"] == 2


def lose_an_acknowledged(run: Run) -> None:
    run.posted = hops("k4")


def post_two_attempts(run: Run) -> None:
    run.posted += hops("k1", attempt=1)


def post_a_hop_twice(run: Run) -> None:
    run.posted.append(hops("k4")[1])


def resurrect_a_refused(run: Run) -> None:
    run.posted += hops("k2")


def answer_another_route(run: Run) -> None:
    run.events[1] = replace(run.events[1], value=receipt("k1") | {"route": ["a", "b", "d"]})


def answer_another_fee(run: Run) -> None:
    run.events[1] = replace(run.events[1], value=receipt("k1") | {"fee": "1.00"})


def answer_another_attempt(run: Run) -> None:
    attempts = [{"attempt": 1, "state": "posted", "route": ["a", "c", "d"]}]
    run.events[1] = replace(run.events[1], value=receipt("k1") | {"attempts": attempts})


def pay_less_than_asked(run: Run) -> None:
    run.posted[1] = replace(run.posted[1], amount=99_00)


def pay_in_another_currency(run: Run) -> None:
    run.posted[1] = replace(run.posted[1], currency="EUR")


def pay_somebody_else(run: Run) -> None:
    run.posted[1] = replace(run.posted[1], to_node="e")


def answer_the_same_key_differently(run: Run) -> None:
    run.ask(5, "k1", "ok", receipt("k1") | {"fee": "4.00"})


def refuse_what_was_settled(run: Run) -> None:
    run.ask(5, "k1", "fail", {"code": "insufficient_funds"})


def settle_two_bodies_of_a_key(run: Run) -> None:
    run.ask(5, "k1", "ok", receipt("k1") | {"amount": "200.00"}, amount="200.00")


def strand_a_hold(run: Run) -> None:
    run.pending.append("pay_x/1/0")


def make_money(run: Run) -> None:
    run.accounts["link/d/c"] = Account("USD", 300_00)


def shift_money(run: Run) -> None:
    """The sum is right and the places are wrong."""
    run.accounts["link/d/c"] = Account("USD", 150_00)
    run.accounts["link/c/a"] = Account("USD", 256_00)


def overdraw(run: Run) -> None:
    run.accounts["link/c/d"] = Account("USD", -1)


def post_what_nobody_asked(run: Run) -> None:
    run.posted += hops("k9")


def break_the_chain(run: Run) -> None:
    run.chain_ok = False


@pytest.mark.parametrize(
    ("break_it", "promise"),
    [
        (lose_an_acknowledged, Promise.NOT_LOST),
        (post_two_attempts, Promise.ONCE),
        (post_a_hop_twice, Promise.ONCE),
        (resurrect_a_refused, Promise.NO_RESURRECTION),
        (answer_another_route, Promise.ANSWER_IS_LEDGER),
        (answer_another_fee, Promise.ANSWER_IS_LEDGER),
        (answer_another_attempt, Promise.ANSWER_IS_LEDGER),
        (pay_less_than_asked, Promise.ANSWER_IS_LEDGER),
        (pay_in_another_currency, Promise.ANSWER_IS_LEDGER),
        (pay_somebody_else, Promise.ANSWER_IS_LEDGER),
        (answer_the_same_key_differently, Promise.SAME_ANSWER),
        (refuse_what_was_settled, Promise.SAME_ANSWER),
        (settle_two_bodies_of_a_key, Promise.KEY_IS_BOUND),
        (strand_a_hold, Promise.NOT_STRANDED),
        (make_money, Promise.SUMS),
        (shift_money, Promise.SUMS),
        (overdraw, Promise.SUMS),
        (post_what_nobody_asked, Promise.KNOWN),
        (break_the_chain, Promise.CHAIN),
    ],
)
def test_every_broken_promise_turns_red(break_it: Callable[[Run], None], promise: Promise) -> None:
    run = Run()
    break_it(run)
    verdict = run.verdict()
    assert verdict.outcome is Outcome.VIOLATED
    assert promise in {violation.promise for violation in verdict.violations}, str(verdict)


def let_no_fault_bite(run: Run) -> None:
    run.events[-1] = replace(run.events[-1], value=fault("b", "mesh-node", bit=False))


def let_one_kind_go_unbitten(run: Run) -> None:
    run.bite = replace(BITE, kinds=frozenset({"mesh-node", "ledger"}))
    run.events.append(Event(100, "fault", 2, value=fault("ledger-x", "ledger", bit=False)))


def ask_for_more_payments(run: Run) -> None:
    run.bite = replace(BITE, ok_min=2)


def ask_for_more_reroutes(run: Run) -> None:
    run.bite = replace(BITE, rerouted_min=2)


def lose_an_invocation(run: Run) -> None:
    del run.events[4]


def answer_twice(run: Run) -> None:
    run.events.append(run.events[3])


@pytest.mark.parametrize(
    "weaken",
    [
        let_no_fault_bite,
        let_one_kind_go_unbitten,
        ask_for_more_payments,
        ask_for_more_reroutes,
        lose_an_invocation,
        answer_twice,
    ],
)
def test_a_run_that_proves_nothing_is_invalid(weaken: Callable[[Run], None]) -> None:
    run = Run()
    weaken(run)
    verdict = run.verdict()
    assert verdict.outcome is Outcome.INVALID, str(verdict)


def test_a_broken_promise_outweighs_a_lack_of_bite() -> None:
    run = Run(bite=replace(BITE, ok_min=99))
    strand_a_hold(run)
    assert run.verdict().outcome is Outcome.VIOLATED


def test_a_key_reused_with_another_body_may_be_refused_beside_the_settled_one() -> None:
    run = Run()
    run.ask(5, "k1", "fail", {"code": "key_reused"}, amount="777.77")
    assert run.verdict().outcome is Outcome.VALID


def test_an_invocation_without_an_outcome_is_unknown() -> None:
    """The recorder died: its payment may be posted or not."""
    run = Run()
    run.events.append(Event(5, "invoke", 5, "k5", BODY))
    assert run.verdict().counts["unknown"] == 3
    assert run.verdict().outcome is Outcome.VALID


def test_a_history_survives_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        history.add("invoke", history.next_number(), key="k1", body=BODY)
        history.add("ok", 0, key="k1", body=BODY, value=receipt("k1"))
    whole = list(read_history(path))
    assert [event.kind for event in whole] == ["invoke", "ok"]
    assert whole[0].at_ns < whole[1].at_ns
    path.write_bytes(path.read_bytes()[:-5])
    assert list(read_history(path)) == whole[:1]
