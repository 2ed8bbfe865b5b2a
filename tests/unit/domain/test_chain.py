"""The hash chain: bytes fixed for ever by vectors, and no tampering that the verifier does not name."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from plm.domain import chain
from plm.domain.chain import Entry, EntryDraft, EntryKind, Finding, FindingKind, Head, Verifier

# Made with printf, xxd and sha256sum, not with the code under test.
FIRST = EntryDraft(
    "fund/a/b/1", "fund", "external/USD", "link/a/b", 100_000_000, "USD", "fund/a/b/1"
)
FIRST_CANONICAL = (
    "0000000a66756e642f612f622f31" "0000000466756e64" "0000000c65787465726e616c2f555344"
    "000000086c696e6b2f612f62" "00000009313030303030303030" "00000003555344"
    "0000000a66756e642f612f622f31" "0000000d31373634303030303030303030" "0000000131"
)  # fmt: skip
FIRST_HASH = "48aaa496c9bddc77b8152b56cf83bf8bb97855b078cb8974a30d87b228de818c"
SECOND = EntryDraft("pay_é/1/0", "hold", "link/a/b", "link/b/a", 1_000_100, "USD", "pay_é/1")
SECOND_CANONICAL = (
    "0000000a7061795fc3a92f312f30" "00000004686f6c64" "000000086c696e6b2f612f62"
    "000000086c696e6b2f622f61" "0000000731303030313030" "00000003555344"
    "000000087061795fc3a92f31" "0000000d31373634303030303030323530" "0000000137"
)  # fmt: skip
SECOND_HASH = "ba9959c0a1536181b6ba4708339d50ea1f161f96fc70fd6c14cd0988669c95de"

texts = st.text(max_size=6)


def drafts_in(currency: str, source: str, target: str) -> st.SearchStrategy[EntryDraft]:
    return st.builds(
        EntryDraft,
        texts,
        st.sampled_from(EntryKind),
        st.sampled_from([f"link/{source}/{target}", f"link/{target}/c", f"external/{currency}"]),
        st.sampled_from([f"link/{target}/{source}", f"link/c/{target}"]),
        st.integers(1, 10**38),
        st.just(currency),
        texts,
    )


drafts = drafts_in("USD", "a", "b") | drafts_in("EUR", "e", "f")


@st.composite
def chains(draw: st.DrawFn) -> list[Entry]:
    """A sound chain in several batches, as writers of growing epochs make it."""
    entries: list[Entry] = []
    head = Head()
    for epoch, batch in enumerate(
        draw(st.lists(st.lists(drafts, min_size=1), min_size=1, max_size=4))
    ):
        entries += chain.append(head, batch, draw(st.integers(0, 2**62)), epoch)
        head = Head(entries[-1].seq, entries[-1].hash)
    return entries


def verify(entries: list[Entry], anchor: Head | None = None) -> dict[FindingKind, Finding]:
    verifier = Verifier()
    for entry in entries:
        verifier.feed(entry)
    if anchor is not None:
        at_anchor = [entry.hash for entry in entries if entry.seq == anchor.seq]
        verifier.check_anchor(anchor, at_anchor[0] if at_anchor else None)
    return verifier.findings


def head_of(entries: list[Entry]) -> Head:
    return Head(entries[-1].seq, entries[-1].hash)


def rehashed(entries: list[Entry]) -> list[Entry]:
    """What somebody leaves who knows the rule and writes all hashes anew."""
    found: list[Entry] = []
    for entry in entries:
        previous = found[-1].hash if found else entry.prev_hash
        body = chain.canonical(entry.draft, entry.created_at_ms, entry.epoch)
        digest = chain.entry_hash(entry.seq, previous, body)
        found.append(entry._replace(prev_hash=previous, hash=digest))
    return found


def test_the_first_vector() -> None:
    assert chain.canonical(FIRST, 1_764_000_000_000, 1).hex() == FIRST_CANONICAL
    entry = chain.append(Head(), [FIRST], 1_764_000_000_000, 1)[0]
    assert (entry.seq, entry.prev_hash, entry.hash.hex()) == (1, bytes(32), FIRST_HASH)


def test_the_second_vector() -> None:
    assert chain.canonical(SECOND, 1_764_000_000_250, 7).hex() == SECOND_CANONICAL
    entry = chain.append(Head(1, bytes.fromhex(FIRST_HASH)), [SECOND], 1_764_000_000_250, 7)[0]
    assert (entry.seq, entry.prev_hash.hex(), entry.hash.hex()) == (2, FIRST_HASH, SECOND_HASH)


@given(drafts, drafts)
def test_different_entries_have_different_bytes(one: EntryDraft, other: EntryDraft) -> None:
    """Lengths stand before texts: no two ways to cut the same bytes."""
    assert (chain.canonical(one, 1, 1) == chain.canonical(other, 1, 1)) == (one == other)


@given(chains())
def test_nothing_is_found_in_a_sound_chain(entries: list[Entry]) -> None:
    assert verify(entries, head_of(entries)) == {}
    assert verify(entries, Head(entries[0].seq, entries[0].hash)) == {}


@given(chains(), st.data())
def test_a_changed_row_is_named(entries: list[Entry], data: st.DataObject) -> None:
    """Whatever field was changed, the first bad row is that one."""
    place = data.draw(st.integers(0, len(entries) - 1))
    good = entries[place]
    other = data.draw(drafts)
    assume(other != good.draft)
    bad = data.draw(
        st.sampled_from(
            [
                good._replace(draft=other),
                good._replace(draft=good.draft._replace(amount=good.draft.amount + 1)),
                good._replace(created_at_ms=good.created_at_ms + 1),
                good._replace(epoch=good.epoch + 1),
                good._replace(version=good.version + 1),
                good._replace(hash=bytes(31) + b"\x01"),
            ]
        )
    )
    findings = verify([*entries[:place], bad, *entries[place + 1 :]])
    assert findings[FindingKind.ALTERED].seq == good.seq


@given(chains(), st.data())
def test_a_row_with_a_fitting_hash_forks_the_chain_behind_it(
    entries: list[Entry], data: st.DataObject
) -> None:
    assume(len(entries) > 1)
    place = data.draw(st.integers(0, len(entries) - 2))
    other = data.draw(drafts)
    assume(other != entries[place].draft)
    bad = rehashed([entries[place]._replace(draft=other)])
    findings = verify([*entries[:place], *bad, *entries[place + 1 :]])
    assert findings[FindingKind.FORK].seq == entries[place + 1].seq


@given(chains(), st.data())
def test_a_missing_row_is_a_gap(entries: list[Entry], data: st.DataObject) -> None:
    assume(len(entries) > 1)
    place = data.draw(st.integers(0, len(entries) - 2))
    findings = verify(entries[:place] + entries[place + 1 :])
    assert findings[FindingKind.GAP].seq == entries[place + 1].seq


@given(chains(), st.data())
def test_swapped_rows_are_named(entries: list[Entry], data: st.DataObject) -> None:
    assume(len(entries) > 1)
    one, other = sorted(
        data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True))
    )
    assume(entries[one].draft != entries[other].draft)
    swapped = list(entries)
    swapped[one] = entries[one]._replace(draft=entries[other].draft)
    swapped[other] = entries[other]._replace(draft=entries[one].draft)
    assert verify(swapped)[FindingKind.ALTERED].seq == entries[one].seq


@given(chains(), st.data())
def test_only_the_anchor_sees_a_truncated_tail(entries: list[Entry], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(entries) - 1))
    assert verify(entries[:kept]) == {}
    findings = verify(entries[:kept], head_of(entries))
    assert findings[FindingKind.TRUNCATED].seq == kept + 1


@given(chains(), st.data())
def test_only_the_anchor_sees_a_chain_written_anew(
    entries: list[Entry], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    other = data.draw(drafts)
    assume(other != entries[place].draft)
    forged = rehashed(
        [*entries[:place], entries[place]._replace(draft=other), *entries[place + 1 :]]
    )
    assert verify(forged) == {}
    assert verify(forged, head_of(entries))[FindingKind.ALTERED].seq == entries[-1].seq


def test_a_seq_used_twice_is_a_fork() -> None:
    entries = chain.append(Head(), [FIRST, SECOND], 1, 1)
    assert verify([*entries, entries[1]])[FindingKind.FORK].seq == 2


@pytest.mark.parametrize("version", [-1, 0, 2, 32767])
def test_a_version_that_nobody_writes_is_named_not_computed(version: int) -> None:
    entries = chain.append(Head(), [FIRST, SECOND], 1, 1)
    findings = verify([entries[0], entries[1]._replace(version=version)])
    assert findings[FindingKind.ALTERED].seq == 2


def test_a_place_before_the_first_is_named_not_computed() -> None:
    entries = chain.append(Head(), [FIRST, SECOND], 1, 1)
    assert verify([entries[0]._replace(seq=-5), entries[1]])[FindingKind.ALTERED].seq == -5


def test_a_row_that_cannot_be_read_is_named_and_the_rest_is_read_on() -> None:
    entries = chain.append(Head(), [FIRST, SECOND, FIRST], 1, 1)
    verifier = Verifier()
    verifier.feed(entries[0])
    verifier.skip(Head(2, entries[1].hash), "its amount is no number")
    verifier.feed(entries[2])
    assert verifier.count == 3
    assert verifier.findings == {
        FindingKind.ALTERED: Finding(FindingKind.ALTERED, 2, "its amount is no number")
    }


def test_an_epoch_that_falls_is_named() -> None:
    """A writer that was fenced off has written all the same: its rows may be linked and hashed faultlessly."""
    first = chain.append(Head(), [FIRST], 1, 5)
    second = chain.append(head_of(first), [SECOND], 1, 4)
    third = chain.append(head_of(second), [SECOND], 1, 5)
    assert verify([*first, *second, *third])[FindingKind.MISMATCH].seq == 2


def test_an_account_that_moves_in_two_currencies_is_named() -> None:
    other = FIRST._replace(currency="EUR", credit="link/b/a")
    findings = verify(chain.append(Head(), [FIRST, other], 1, 1))
    assert findings[FindingKind.MISMATCH].seq == 2
    assert "external/USD" in findings[FindingKind.MISMATCH].detail


def booked(*kinds: str) -> Verifier:
    verifier = Verifier()
    moves = [EntryDraft("t", kind, "link/a/b", "link/b/a", 7, "USD", "t") for kind in kinds]
    for entry in chain.append(Head(), moves, 1, 1):
        verifier.feed(entry)
    return verifier


@pytest.mark.parametrize(
    ("kinds", "posted", "held"),
    [
        (("transfer",), -7, 0),
        (("hold",), 0, 7),
        (("hold", "post"), -7, 0),
        (("hold", "void"), 0, 0),
        (("fund",), -7, 0),
        (("withdraw",), -7, 0),
    ],
)
def test_balances_are_recomputed_from_the_entries(
    kinds: tuple[str, ...], posted: int, held: int
) -> None:
    verifier = booked(*kinds)
    verifier.check_balances({"link/a/b": (posted, held), "link/b/a": (-posted, 0)})
    assert verifier.findings == {}


def test_a_balance_that_its_entries_do_not_make_is_named() -> None:
    verifier = booked("transfer")
    verifier.check_balances({"link/a/b": (-7, 0), "link/b/a": (8, 0)})
    assert "link/b/a says posted 8" in verifier.findings[FindingKind.MISMATCH].detail


def test_an_account_that_vanished_is_named() -> None:
    verifier = booked("transfer")
    verifier.check_balances({"link/a/b": (-7, 0)})
    assert "link/b/a" in verifier.findings[FindingKind.MISMATCH].detail


def test_an_account_that_vanished_with_nothing_in_it_is_named() -> None:
    verifier = booked("hold", "void")
    verifier.check_balances({"link/a/b": (0, 0)})
    assert "link/b/a" in verifier.findings[FindingKind.MISMATCH].detail


def test_an_account_in_another_currency_than_its_entries_is_named() -> None:
    verifier = booked("transfer")
    verifier.check_currencies({"link/a/b": "USD", "link/b/a": "USD", "external/EUR": "EUR"})
    assert verifier.findings == {}
    verifier.check_currencies({"link/a/b": "USD", "link/b/a": "EUR"})
    assert "link/b/a is in EUR" in verifier.findings[FindingKind.MISMATCH].detail


def test_money_from_nowhere_is_named() -> None:
    verifier = Verifier()
    verifier.check_sums({"EUR": 0, "USD": 1})
    assert verifier.findings[FindingKind.UNBALANCED].detail == "USD sums to 1, not zero"
