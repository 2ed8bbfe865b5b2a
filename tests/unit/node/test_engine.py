"""One node's part in a payment: hold, ask the next, confirm; the first node posts, or closes what failed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from plm.domain import ids
from plm.domain.errors import Code, Conflict, PlmError, Refused, Unavailable
from plm.domain.orders import CloseOrder
from plm.domain.payments import Attempt, AttemptState, Hold, HoldState
from plm.domain.relay import ForwardTask, Outcome
from plm.node import engine
from plm.node.engine import Engine, Pool
from support import demo_mesh, virtual_time
from support.paper_mesh import GATEWAY, PaperMesh, PaperPeers

_T = TypeVar("_T")
TASK = ForwardTask("p", 1, "USD", demo_mesh.hops_over("abd", 1000), 0, 5_000)
HOLDS = ("p/1/0", "p/1/1")
SILENCE = Unavailable(Code.LEDGER_UNAVAILABLE, "no answer", effect_unknown=True)


def run(story: Coroutine[Any, Any, _T]) -> _T:
    return virtual_time.run(story, engine)


def attempt(state: AttemptState) -> Attempt:
    holds = tuple(Hold(each, hop, HoldState.PENDING) for hop, each in enumerate(HOLDS))
    return Attempt("p", 1, state, TASK.hops, 0, 5_000, holds=holds)


@dataclass
class ScriptedLedger:
    """Answers as told and remembers what it was asked."""

    fails: dict[str, PlmError] = field(default_factory=dict)
    closes_as: AttemptState = AttemptState.CLOSED
    asked: list[str] = field(default_factory=list)
    posted: tuple[str, ...] = ()
    reason: CloseOrder | None = None
    hold_s: float = 0.0

    def _ask(self, method: str) -> None:
        self.asked.append(method)
        if method in self.fails:
            raise self.fails[method]

    async def hold(self, payment_id: str, number: int, hop: int) -> str:
        await asyncio.sleep(self.hold_s)
        self._ask("hold")
        return ids.hold_id(payment_id, number, hop)

    async def post_attempt(
        self, payment_id: str, number: int, hold_ids: tuple[str, ...]
    ) -> Attempt:
        self._ask("post")
        self.posted = hold_ids
        return attempt(AttemptState.POSTED)

    async def close_attempt(self, order: CloseOrder) -> Attempt:
        self.reason = order
        self._ask("close")
        return attempt(self.closes_as)


@dataclass
class ScriptedPeers:
    """The next node, and what it was given."""

    answer: Outcome | PlmError = field(default_factory=lambda: Outcome(hold_ids=HOLDS[1:]))
    given: list[tuple[str, ForwardTask, float]] = field(default_factory=list)

    async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome:
        self.given.append((node_id, task, timeout_s))
        if isinstance(self.answer, PlmError):
            raise self.answer
        return self.answer


async def pass_by(_payment_id: str, _attempt: int) -> None:
    """Nobody is held."""


def forward(
    ledger: ScriptedLedger,
    peers: ScriptedPeers,
    task: ForwardTask = TASK,
    hold_point: Callable[[str, int], Awaitable[None]] = pass_by,
) -> Outcome:
    """What the node at the task's place says to the one before it."""
    before = task.stops[task.position - 1] if task.position else ""
    caller = ids.node_spiffe(before) if before else ids.service_spiffe(GATEWAY)
    node = Engine(task.stops[task.position], ledger, peers, Pool(4, 4), hold_point)
    return run(node.forward(task, caller))


def test_the_last_node_confirms_and_asks_nobody() -> None:
    ledger, peers = ScriptedLedger(), ScriptedPeers()
    assert forward(ledger, peers, replace(TASK, position=2)) == Outcome()
    assert (ledger.asked, peers.given) == ([], [])


def test_a_node_on_the_way_holds_and_confirms_with_all_holds_behind_it() -> None:
    ledger, peers = ScriptedLedger(), ScriptedPeers(Outcome())
    assert forward(ledger, peers, replace(TASK, position=1)) == Outcome(hold_ids=HOLDS[1:])
    assert ledger.asked == ["hold"], "only the first node posts and closes"
    [(node, task, timeout_s)] = peers.given
    assert (node, task.position, task.hops) == ("d", 2, TASK.hops)
    assert 0 < timeout_s <= 1


def test_the_first_node_posts_exactly_the_holds_that_were_confirmed() -> None:
    ledger = ScriptedLedger()
    assert forward(ledger, ScriptedPeers()) == Outcome(hold_ids=HOLDS, posted=True)
    assert (ledger.asked, ledger.posted) == (["hold", "post"], HOLDS)


def test_without_its_own_hold_it_asks_nobody_further() -> None:
    fails: dict[str, PlmError] = {"hold": Refused(Code.INSUFFICIENT_FUNDS, "too little")}
    ledger, peers = ScriptedLedger(fails), ScriptedPeers()
    outcome = forward(ledger, peers)
    assert (outcome.closed, outcome.error_code) == (True, Code.INSUFFICIENT_FUNDS)
    assert outcome.failed_link == ("a", "b")
    assert (ledger.asked, peers.given) == (["hold", "close"], [])


@pytest.mark.parametrize("code", [Code.NODE_UNREACHABLE, Code.OVERLOADED, Code.DEADLINE_EXCEEDED])
def test_a_next_node_that_does_not_answer_is_named_and_the_attempt_closed(code: Code) -> None:
    ledger, peers = ScriptedLedger(), ScriptedPeers(Unavailable(code, "no", effect_unknown=True))
    outcome = forward(ledger, peers)
    assert (outcome.closed, outcome.error_code, outcome.failed_node) == (True, code, "b")
    assert ledger.asked == ["hold", "close"]
    assert ledger.reason == CloseOrder("p", 1, "b: no", "b")


def test_what_failed_further_on_is_passed_back_as_it_is() -> None:
    failure = Outcome(error_code=Code.NODE_UNREACHABLE, error_detail="d: no", failed_node="d")
    on_the_way = forward(ScriptedLedger(), ScriptedPeers(failure), replace(TASK, position=1))
    assert on_the_way == failure
    assert forward(ScriptedLedger(), ScriptedPeers(failure)) == replace(failure, closed=True)


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("holds", [(), HOLDS, HOLDS[:1], ("p/1/7",), ("p/2/1",), HOLDS[1:] * 2])
def test_a_next_node_that_confirms_other_holds_than_the_routes_is_named(
    position: int, holds: tuple[str, ...]
) -> None:
    """Passed on, they would fail at the post, where nobody can tell any more whose they were."""
    behind = ((), HOLDS[1:])[position == 0]
    wrong = holds if holds != behind else ("another",)
    ledger = ScriptedLedger()
    outcome = forward(ledger, ScriptedPeers(Outcome(wrong)), replace(TASK, position=position))
    assert (outcome.error_code, outcome.failed_node) == (Code.INTERNAL, "bd"[position])
    assert ledger.asked == (["hold"] if position else ["hold", "close"])


def test_nobody_further_on_says_what_became_of_the_attempt() -> None:
    """A node that cannot close hands the failure back as its own: it must not say that it is paid."""
    lie = Outcome(HOLDS, posted=True, closed=True, error_code=Code.INTERNAL, failed_node="b")
    outcome = forward(ScriptedLedger({"close": SILENCE}), ScriptedPeers(lie))
    assert outcome == Outcome(error_code=Code.INTERNAL, failed_node="b")


@pytest.mark.parametrize("error", [SILENCE, Conflict(Code.ATTEMPT_CLOSED, "expired")])
@pytest.mark.parametrize("state", [AttemptState.POSTED, AttemptState.CLOSED])
def test_when_a_post_fails_the_ledger_is_asked_what_holds(
    error: PlmError, state: AttemptState
) -> None:
    """A lost answer may hide a commit: closing it tells which of the two it is."""
    ledger = ScriptedLedger({"post": error}, closes_as=state)
    outcome = forward(ledger, ScriptedPeers())
    assert ledger.asked == ["hold", "post", "close"]
    if state is AttemptState.POSTED:
        assert outcome == Outcome(hold_ids=HOLDS, posted=True)
    else:
        assert (outcome.posted, outcome.closed, outcome.error_code) == (False, True, error.code)


def test_a_post_that_fails_at_a_later_hop_does_not_blame_the_first() -> None:
    """Else the route's good half would be left out, and the next attempt would meet the bad one again."""
    closed = Refused(Code.ACCOUNT_CLOSED, "account link/d/b is closed")
    outcome = forward(ScriptedLedger({"post": closed}), ScriptedPeers())
    assert (outcome.closed, outcome.failed_link, outcome.failed_node) == (True, ("b", "d"), "")


def test_an_attempt_that_it_cannot_close_is_left_to_the_gateway() -> None:
    ledger = ScriptedLedger({"post": SILENCE, "close": SILENCE})
    outcome = forward(ledger, ScriptedPeers())
    assert (outcome.posted, outcome.closed) == (False, False)
    assert outcome.error_code == Code.LEDGER_UNAVAILABLE


def test_nothing_is_passed_on_when_no_time_is_left() -> None:
    async def long(_payment_id: str, _attempt: int) -> None:
        await asyncio.sleep(5)

    ledger, peers = ScriptedLedger(), ScriptedPeers()
    outcome = forward(ledger, peers, TASK, long)
    assert (outcome.closed, outcome.error_code) == (True, Code.DEADLINE_EXCEEDED)
    assert peers.given == []


def test_the_wait_for_a_worker_is_taken_from_the_budget() -> None:
    """Else the last in a long queue would wait for its next node longer than it is waited for itself."""

    async def story() -> list[tuple[str, ForwardTask, float]]:
        peers = ScriptedPeers()
        node = Engine("a", ScriptedLedger(hold_s=2), peers, Pool(1, 4), pass_by)
        caller = ids.service_spiffe(GATEWAY)
        await asyncio.gather(*(node.forward(TASK, caller) for _ in range(2)))
        return peers.given

    (_, first, first_s), (_, second, second_s) = run(story())
    assert (first.budget_ms, second.budget_ms) == (3_000, 1_000)
    assert second_s < first_s
    assert second_s < second.budget_ms / 1000


def test_a_full_queue_turns_away_before_anything_is_held() -> None:
    async def story() -> tuple[ScriptedLedger, list[Outcome | BaseException]]:
        ledger = ScriptedLedger(hold_s=1)
        node = Engine("a", ledger, ScriptedPeers(), Pool(2, 3), pass_by)
        caller = ids.service_spiffe(GATEWAY)
        asked = [node.forward(TASK, caller) for _ in range(50)]
        return ledger, await asyncio.gather(*asked, return_exceptions=True)

    ledger, answers = run(story())
    turned_away = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert len(turned_away) == 45
    assert {error.code for error in turned_away} == {Code.OVERLOADED}
    assert all(error.retry_after_ms for error in turned_away)
    assert ledger.asked.count("hold") == 5


def test_a_task_that_is_none_of_ours_is_refused_before_anything() -> None:
    ledger, peers = ScriptedLedger(), ScriptedPeers()
    node = Engine("b", ledger, peers, Pool(1, 1), pass_by)
    with pytest.raises(Refused):
        run(node.forward(TASK, ids.service_spiffe(GATEWAY)))
    assert (ledger.asked, peers.given) == ([], [])


def test_the_same_task_again_gets_the_same_receipt() -> None:
    """Also when the first answer was lost after the commit: nothing moves twice."""

    async def story() -> None:
        mesh = PaperMesh()
        for command in demo_mesh.whole_payment("p")[:2]:
            mesh.ledger.decide(command)
        gateway = PaperPeers(mesh, GATEWAY)
        receipts = [await gateway.forward("a", TASK, 5) for _ in range(3)]
        assert receipts == [Outcome(hold_ids=HOLDS, posted=True)] * 3
        assert mesh.ledger.account("link/d/b").posted == 1000
        assert [entry.draft.kind for entry in mesh.ledger.chain[4:]] == ["hold"] * 2 + ["post"] * 2

    run(story())
