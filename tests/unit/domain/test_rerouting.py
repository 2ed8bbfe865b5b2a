"""What a failed attempt teaches: what is left out next time, and which failures end the payment."""

import pytest
from plm.domain import rerouting
from plm.domain.errors import Code
from plm.domain.relay import Outcome
from plm.domain.routes import Ban
from support.demo_mesh import hops_over

# Whatever the mesh may be tomorrow, these say that this payment can never be made.
DEFINITE = {
    Code.INVALID_REQUEST,
    Code.INVALID_AMOUNT,
    Code.AMOUNT_TOO_LARGE,
    Code.UNKNOWN_CURRENCY,
    Code.CURRENCY_MISMATCH,
    Code.UNKNOWN_PAYMENT,
    Code.SAME_NODE,
    Code.ATTEMPTS_EXHAUSTED,
    Code.NOT_OWNER,
    Code.DEBUG_DISABLED,
    Code.KEY_REUSED,
    Code.ATTEMPT_POSTED,
    Code.ATTEMPT_OPEN,
    Code.PAYMENT_ENDED,
    Code.PAYMENT_IN_PROGRESS,
    Code.STALE_GENERATION,
}


@pytest.mark.parametrize("code", list(Code))
def test_a_definite_failure_is_one_of_these(code: Code) -> None:
    assert rerouting.is_definite(code) == (code in DEFINITE)


@pytest.mark.parametrize("code", ["", "a code of tomorrow", "NO_ROUTE"])
def test_what_we_do_not_understand_decides_nothing(code: str) -> None:
    """During an update a node may know codes that the gateway does not: none of them may end a payment for good."""
    assert not rerouting.is_definite(code)


def test_bans_add_up() -> None:
    ban = rerouting.learn(Ban(), Outcome(error_code="x", failed_node="b"), hops_over("abd", 1))
    outcome = Outcome(error_code="x", failed_link=("a", "c"))
    ban = rerouting.learn(ban, outcome, hops_over("acd", 1))
    assert ban == Ban(nodes=frozenset("b"), links=frozenset({("a", "c")}))
    assert rerouting.learn(ban, Outcome(error_code="x"), hops_over("acd", 1)) == ban


@pytest.mark.parametrize(
    "named", [Outcome(failed_node="b"), Outcome(failed_link=("b", "d")), Outcome(failed_node="x")]
)
def test_what_is_not_on_the_route_cannot_have_failed_on_it(named: Outcome) -> None:
    assert rerouting.learn(Ban(), named, hops_over("acd", 1)) == Ban()


def test_who_failed_by_one_way_alone_is_doubted_and_by_two_is_not() -> None:
    dead = Outcome(error_code="x", failed_node="d")
    ban = rerouting.learn(Ban(), dead, hops_over("abd", 1))
    ways = rerouting.way_to_failed(dead, hops_over("abd", 1))
    assert rerouting.doubting(ban, ways) == Ban(links=frozenset({("b", "d")}))
    ways |= rerouting.way_to_failed(dead, hops_over("acd", 1))
    assert rerouting.doubting(ban, ways) == ban


def test_who_was_asked_first_is_not_doubted() -> None:
    """The gateway itself has asked it."""
    dead = Outcome(error_code="x", failed_node="a")
    assert rerouting.way_to_failed(dead, hops_over("abd", 1)) == frozenset()
