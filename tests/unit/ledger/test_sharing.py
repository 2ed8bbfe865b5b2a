"""How the waiting commands are shared out between the batch to come and the one after it."""

from hypothesis import given
from hypothesis import strategies as st
from plm.ledger.sharing import BATCH_MAX, batch_size

COUNTS = st.integers(0, 5_000)


@given(COUNTS, COUNTS)
def test_a_batch_is_of_those_that_wait_and_never_too_large(waiting: int, flying: int) -> None:
    assert 0 <= batch_size(waiting, flying) <= min(waiting, BATCH_MAX)


@given(st.integers(1, 5_000), COUNTS)
def test_none_are_taken_only_while_a_much_larger_batch_is_committed(
    waiting: int, flying: int
) -> None:
    assert (batch_size(waiting, flying) == 0) == (waiting * 2 < flying)


@given(st.integers(0, 8))
def test_a_few_stay_together(waiting: int) -> None:
    assert batch_size(waiting, 0) == waiting


@given(st.integers(16, 900), st.data())
def test_callers_who_ask_again_at_once_are_soon_in_two_like_batches(
    callers: int, data: st.DataObject
) -> None:
    """However they were parted at first: one half is decided while the other is committed."""
    flying = data.draw(st.integers(0, callers))
    waiting = callers - flying
    for _ in range(20):
        taken = batch_size(waiting, flying)
        # What was committed is answered and asks again; what was taken is committed next.
        waiting, flying = waiting - taken + flying, taken
    assert abs(flying - callers / 2) <= 1
