"""What a node checks before it passes a payment on, and whom it blames when that fails."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain import ids, relay
from plm.domain.errors import Code, Refused
from plm.domain.mesh import LinkPolicy
from plm.domain.orders import Hop
from plm.domain.payments import Attempt, AttemptState
from plm.domain.relay import ForwardTask, Outcome

HOPS = (Hop("a", "b", 1100, LinkPolicy(0)), Hop("b", "d", 1000, LinkPolicy(100)))
TASK = ForwardTask("p", 1, "USD", HOPS, 1, 3_000)


def test_the_node_on_the_route_and_the_caller_before_it_pass() -> None:
    relay.check(replace(TASK, position=0), "a", ids.service_spiffe("gateway"))
    relay.check(TASK, "b", ids.node_spiffe("a"))
    relay.check(replace(TASK, position=2), "d", ids.node_spiffe("b"))


@pytest.mark.parametrize(
    ("task", "node_id", "caller", "code"),
    [
        (TASK, "c", ids.node_spiffe("a"), Code.INVALID_REQUEST),
        (TASK, "b", ids.node_spiffe("d"), Code.FORBIDDEN),
        (TASK, "b", ids.service_spiffe("gateway"), Code.FORBIDDEN),
        (TASK, "b", "", Code.FORBIDDEN),
        (replace(TASK, position=0), "a", ids.node_spiffe("b"), Code.FORBIDDEN),
        (replace(TASK, position=3), "d", ids.node_spiffe("b"), Code.INVALID_REQUEST),
        (replace(TASK, position=-1), "b", ids.node_spiffe("a"), Code.INVALID_REQUEST),
        (replace(TASK, hops=()), "b", ids.node_spiffe("a"), Code.INVALID_REQUEST),
        (replace(TASK, hops=(HOPS[0], HOPS[0])), "b", ids.node_spiffe("a"), Code.INVALID_REQUEST),
        (replace(TASK, attempt=0), "b", ids.node_spiffe("a"), Code.INVALID_REQUEST),
        (replace(TASK, budget_ms=0), "b", ids.node_spiffe("a"), Code.INVALID_REQUEST),
        (replace(TASK, budget_ms=30_001), "b", ids.node_spiffe("a"), Code.INVALID_REQUEST),
        (
            replace(TASK, hops=(HOPS[0], replace(HOPS[1], amount=0))),
            "b",
            ids.node_spiffe("a"),
            Code.INVALID_AMOUNT,
        ),
    ],
)
def test_anything_else_is_refused(task: ForwardTask, node_id: str, caller: str, code: Code) -> None:
    with pytest.raises(Refused) as caught:
        relay.check(task, node_id, caller)
    assert caught.value.code is code


def test_a_route_that_returns_is_no_route() -> None:
    circle = (*HOPS, Hop("d", "a", 1000, LinkPolicy(0)))
    with pytest.raises(Refused, match="not one path"):
        relay.check(replace(TASK, hops=circle), "b", ids.node_spiffe("a"))


def chain(length: int) -> tuple[Hop, ...]:
    return tuple(Hop(f"n{each}", f"n{each + 1}", 1, LinkPolicy(0)) for each in range(length))


def test_no_two_neighbours_can_keep_a_worker_for_longer_than_an_attempt_lasts() -> None:
    """One sends a task and the next is silent: route and budget are what the first says they are."""
    longest = replace(TASK, hops=chain(32), budget_ms=30_000)
    relay.check(longest, "n1", ids.node_spiffe("n0"))
    assert longest.next_timeout_ms(0) <= 30_000
    with pytest.raises(Refused, match="1 to 32 hops"):
        relay.check(replace(longest, hops=chain(33)), "n1", ids.node_spiffe("n0"))


@given(st.integers(1, 60_000), st.integers(0, 60_000), st.integers(0, 2))
def test_time_only_shrinks_on_the_way(budget_ms: int, elapsed_ms: int, position: int) -> None:
    task = replace(TASK, position=position, budget_ms=budget_ms)
    passed = task.passed_on(elapsed_ms)
    assert (passed.position, passed.budget_ms) == (position + 1, budget_ms - elapsed_ms)
    assert task.next_timeout_ms(elapsed_ms) <= relay.HOP_TIMEOUT_MS * 2
    assert task.is_last == (position == len(HOPS))


@given(st.integers(2, 8), st.integers(250, 5_000), st.floats(0, 0.9))
def test_who_waits_longer_is_who_stands_further_back(
    length: int, budget_ms: int, share: float
) -> None:
    """Each node waits less than it is waited for, its own time included: so the nearest names a silent one."""
    task = replace(TASK, hops=chain(length), position=0, budget_ms=budget_ms)
    waited_for_ms = budget_ms  # by the gateway
    while not task.is_last:
        ahead = length - task.position
        if task.budget_ms < 10 * (ahead + 1) * (ahead + 2):
            return  # shares of less than a millisecond
        elapsed_ms = int(share * min(task.budget_ms / (ahead + 2), relay.HOP_TIMEOUT_MS))
        timeout_ms = task.next_timeout_ms(elapsed_ms)
        assert elapsed_ms + timeout_ms < waited_for_ms
        waited_for_ms, task = timeout_ms, task.passed_on(elapsed_ms)


LINK_FAULTS = {
    Code.INSUFFICIENT_FUNDS,
    Code.POLICY_CHANGED,
    Code.UNKNOWN_ACCOUNT,
    Code.ACCOUNT_CLOSED,
}
NO_FAULTS = {Code.ATTEMPT_CLOSED, Code.ATTEMPT_POSTED}


@pytest.mark.parametrize("code", list(Code))
def test_a_failure_is_the_own_links_or_the_nodes_own(code: Code) -> None:
    """Whoever cannot do its part is left out, unless the link alone is at fault or somebody ended the attempt."""
    outcome = relay.own_failure(TASK, code, "why")
    assert outcome.failed_link == (("b", "d") if code in LINK_FAULTS else ("", ""))
    assert outcome.failed_node == ("" if code in LINK_FAULTS | NO_FAULTS else "b")
    assert not outcome.is_confirmed


@pytest.mark.parametrize("code", list(Code))
def test_the_sender_never_names_itself(code: Code) -> None:
    outcome = relay.own_failure(replace(TASK, position=0), code, "why")
    assert outcome.failed_link == (("a", "b") if code in LINK_FAULTS else ("", ""))
    assert outcome.failed_node == ""


@pytest.mark.parametrize(
    ("detail", "links"),
    [
        ("account link/a/b is closed", (("a", "b"),)),
        ("account link/d/b is closed", (("b", "d"),)),
        ("link/d/b cannot hold more than 38 digits", (("b", "d"),)),
        ("link b-d is not as quoted any more", (("b", "d"),)),
        ("no account 'link/d/b'", (("b", "d"),)),
        ("account link/x/y is closed", ()),
        ("link bb-d is not as quoted any more", ()),
        ("", ()),
    ],
)
def test_a_refusal_names_a_link_or_an_account_of_it(
    detail: str, links: tuple[tuple[str, str], ...]
) -> None:
    assert relay.named_links(HOPS, detail) == links


@pytest.mark.parametrize("code", list(Code))
def test_a_failed_post_blames_the_link_that_the_ledger_names_and_no_node(code: Code) -> None:
    """The sender posts: it is not to blame for what is wrong with a hop further on."""
    task = replace(TASK, position=0)
    named = relay.post_failure(task, code, "account link/d/b is closed").failed_link
    assert named == (("b", "d") if code in LINK_FAULTS | {Code.AMOUNT_TOO_LARGE} else ("", ""))
    unnamed = relay.post_failure(task, code, "something is closed")
    assert (unnamed.failed_link, unnamed.failed_node) == (("", ""), "")


@pytest.mark.parametrize(
    ("code", "missing", "blamed"),
    [
        (Code.INVALID_REQUEST, [1], ("n0", "n1")),
        (Code.INVALID_REQUEST, [0, 1], ("n0", "n1")),
        (Code.INVALID_REQUEST, [2, 3], ("n1", "n2")),
        (Code.INVALID_REQUEST, [3], ("n2", "n3")),
        (Code.INVALID_REQUEST, [0], ("", "")),
        (Code.INVALID_REQUEST, [10], ("", "")),
        (Code.ATTEMPT_CLOSED, [1], ("", "")),
    ],
)
def test_a_hold_that_was_confirmed_and_is_missing_blames_the_link_to_it_and_no_node(
    code: Code, missing: list[int], blamed: tuple[str, str]
) -> None:
    """Who guesses the names of the holds behind it confirms them without asking: those behind are not to blame.

    The first node knows of its own, and there is no way around it.
    """
    holds = [f"p/1/{hop}" for hop in missing]
    detail = f"a post names exactly the holds of its 4 hops; missing {holds}"
    outcome = relay.post_failure(replace(TASK, hops=chain(4), position=0), code, detail)
    assert (outcome.failed_node, outcome.failed_link) == ("", blamed)


@pytest.mark.parametrize("code", list(Code))
def test_who_names_nobody_behind_it_is_named_itself(code: Code) -> None:
    task = replace(TASK, hops=chain(4), position=1)
    for named in ("", "n0", "n1", "n9"):
        behind = Outcome(error_code=code, error_detail="why", failed_node=named)
        assert relay.passed_back(task, behind).failed_node == "n2"
    behind = Outcome(error_code=code, error_detail="why", failed_node="n3")
    assert relay.passed_back(task, behind).failed_node == "n3"


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize(
    ("reason", "ended_at_ms", "is_a_lie"),
    [("why", 5_000, True), ("taken over", 5_000, False), ("why", 5_001, False), (None, 0, False)],
)
def test_that_the_attempt_has_ended_is_nobodys_fault_unless_our_own_close_ended_it(
    code: Code, reason: str | None, ended_at_ms: int, is_a_lie: bool
) -> None:
    """A node could stop a payment that has another way: nobody would be left out in the next attempt."""
    outcome = Outcome(error_code=code, error_detail="why", failed_node="b")
    closed = (
        Attempt("p", 1, AttemptState.CLOSED, HOPS, 0, 5_000, ended_at_ms, reason)
        if reason is not None
        else None
    )
    told = relay.once_closed(outcome, relay.give_up("p", 1, outcome), closed)
    is_blamed = is_a_lie or code not in NO_FAULTS
    assert told == replace(outcome, closed=closed is not None, failed_node="b" * is_blamed)


def test_a_silent_next_node_is_named() -> None:
    outcome = relay.next_failure(TASK, Code.NODE_UNREACHABLE, "no answer")
    assert (outcome.failed_node, outcome.error_detail) == ("d", "d: no answer")
    assert outcome.failed_link == ("", "")
