"""A superuser may do anything to the rows, but not unnoticed: `verify` names the first bad one."""

from collections.abc import Sequence

import pytest
from plm.domain.chain import FindingKind
from plm.domain.orders import CloseOrder
from plm.ledger.verifying import Verdict
from plm.stores.nats import NatsSettings
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer, publishing_writer, verify
from support.nats import NatsServer

# The chain of this file: 4 × fund, then per payment 2 × hold and 2 × post. Payment p1 begins at row 9.
PAYMENTS = 5
ROWS = 4 + 4 * PAYMENTS


@pytest.fixture
async def books(database: Database, nats: NatsServer) -> Database:
    """Five settled payments, anchored."""
    async with publishing_writer(database, NatsSettings(url=nats.url)) as (_, writer):
        await ask_all(writer, demo_mesh.founding())
        for number in range(PAYMENTS):
            await ask_all(writer, demo_mesh.whole_payment(f"p{number}"))
        await database.until_sent()
    return database


async def findings(books: Database, nats: NatsServer) -> dict[FindingKind, int]:
    verdict = await verify(books, nats.url)
    return {finding.kind: finding.seq for finding in verdict.findings}


async def test_sound_books_pass(books: Database, nats: NatsServer) -> None:
    verdict = await verify(books, nats.url)
    assert isinstance(verdict, Verdict)
    assert verdict.findings == ()
    assert (verdict.entries, verdict.head.seq, verdict.anchored_seq) == (ROWS, ROWS, ROWS)
    assert verdict.sums == {"USD": 0, "EUR": 0}


HASH = {FindingKind.ALTERED: 6, FindingKind.FORK: 7}
PREVIOUS = {FindingKind.ALTERED: 6, FindingKind.FORK: 6}
MONEY = {FindingKind.MISMATCH: 0, FindingKind.UNBALANCED: 0}
_SWAP = """
UPDATE entries e SET debit = o.debit, credit = o.credit, amount = o.amount, kind = o.kind,
    transfer_id = o.transfer_id, ref = o.ref
FROM entries o WHERE (e.seq, o.seq) IN ((7, 16), (16, 7))
"""


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["UPDATE entries SET amount = amount + 1 WHERE seq = 9"], {FindingKind.ALTERED: 9}),
        (["UPDATE entries SET credit = 'link/c/a' WHERE seq = 12"], {FindingKind.ALTERED: 12}),
        (["UPDATE entries SET created_at_ms = 0 WHERE seq = 1"], {FindingKind.ALTERED: 1}),
        (["UPDATE entries SET epoch = 9 WHERE seq = 24"], {FindingKind.ALTERED: 24}),
        (["UPDATE entries SET hash = decode(repeat('ab', 32), 'hex') WHERE seq = 6"], HASH),
        (["UPDATE entries SET prev_hash = decode(repeat('ab', 32), 'hex') WHERE seq = 6"], PREVIOUS),
        (["DELETE FROM entries WHERE seq = 10"], {FindingKind.GAP: 11}),
        (["DELETE FROM entries WHERE seq = 1"], {FindingKind.GAP: 2}),
        (["DELETE FROM entries WHERE seq BETWEEN 5 AND 8"], {FindingKind.GAP: 9}),
        (["DROP INDEX entries_held_once, entries_ended_once", _SWAP], {FindingKind.ALTERED: 7}),
        (["DELETE FROM entries WHERE seq > 20"], {FindingKind.TRUNCATED: 21}),
        (["DELETE FROM entries"], {FindingKind.TRUNCATED: 1}),
        (["UPDATE accounts SET posted = posted + 1 WHERE account_id = 'link/a/b'"], MONEY),
        (["UPDATE accounts SET held = 1 WHERE account_id = 'link/a/b'"], {FindingKind.MISMATCH: 0}),
        (["DELETE FROM accounts WHERE account_id = 'link/d/b'"], MONEY),
        (["UPDATE entries SET version = -1 WHERE seq = 9"], {FindingKind.ALTERED: 9}),
        (["UPDATE entries SET amount = 'NaN' WHERE seq = 9"], {FindingKind.ALTERED: 9}),
        (["UPDATE entries SET epoch = 0 WHERE seq = 12"], {FindingKind.ALTERED: 12, FindingKind.MISMATCH: 12}),
        (["UPDATE entries SET currency = 'EUR' WHERE seq = 9"], {FindingKind.ALTERED: 9, FindingKind.MISMATCH: 9}),
        (["UPDATE accounts SET posted = 'NaN' WHERE account_id = 'link/a/b'"], MONEY),
        (["UPDATE accounts SET currency = 'EUR' WHERE account_id = 'link/d/b'"], MONEY),
    ],
)  # fmt: skip
async def test_each_kind_of_tampering_is_named_at_its_first_row(
    books: Database, nats: NatsServer, statements: Sequence[str], expected: dict[FindingKind, int]
) -> None:
    """Beside what the rows say of themselves, balances that no longer follow from them may be named too."""
    for statement in statements:
        await books.tamper(statement)
    found = await findings(books, nats)
    assert expected.items() <= found.items()
    assert found.keys() - expected.keys() <= {FindingKind.MISMATCH}


_EXTRA_HOLD = """
INSERT INTO holds SELECT payment_id, 1, 2, state, entry_seq, entry_hash FROM holds WHERE payment_id = 'p1' AND hop = 1
"""
_EXTRA_TRANSFER = """
INSERT INTO transfers SELECT 'x', debit, credit, amount, currency, kind, 3 FROM transfers WHERE entry_seq = 2
"""


# The chain is sound in all of these: what stands beside it is not as it says. Holds of p1 end at rows 11 and 12.
@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE holds SET state = 'voided' WHERE payment_id = 'p1' AND hop = 0", 11),
        ("UPDATE holds SET entry_seq = 1 WHERE payment_id = 'p1' AND hop = 0", 11),
        ("UPDATE holds SET entry_hash = '' WHERE payment_id = 'p1' AND hop = 1", 12),
        ("DELETE FROM holds WHERE payment_id = 'p1' AND hop = 0", 11),
        (_EXTRA_HOLD, 12),
        ("UPDATE attempts SET state = 'closed' WHERE payment_id = 'p1'", 12),
        ("UPDATE attempts SET state = 'open' WHERE payment_id = 'p1'", 12),
        ("UPDATE attempts SET number = 2 WHERE payment_id = 'p1'", 11),
        ("UPDATE attempts SET hops = '{}' WHERE payment_id = 'p1'", 11),
        (
            "UPDATE attempts SET hops = jsonb_set(hops, '{1,amount}', '\"1\"') WHERE payment_id = 'p1'",
            12,
        ),
        (
            "UPDATE attempts SET hops = jsonb_set(hops, '{1,to}', '\"e\"') WHERE payment_id = 'p1'",
            12,
        ),
        ("DELETE FROM attempts WHERE payment_id = 'p1'", 11),
        ("UPDATE payments SET state = 'refused' WHERE payment_id = 'p1'", 12),
        ("UPDATE payments SET state = 'open' WHERE payment_id = 'p1'", 12),
        ("UPDATE payments SET amount = 1001 WHERE payment_id = 'p1'", 12),
        ("UPDATE payments SET to_node = 'c' WHERE payment_id = 'p1'", 12),
        ("UPDATE payments SET currency = 'EUR' WHERE payment_id = 'p1'", 11),
        ("DELETE FROM payments WHERE payment_id = 'p1'", 11),
        ("UPDATE transfers SET amount = 1 WHERE entry_seq = 2", 2),
        ("UPDATE transfers SET entry_seq = 3 WHERE entry_seq = 2", 2),
        ("DELETE FROM transfers WHERE entry_seq = 2", 2),
        (_EXTRA_TRANSFER, 3),
        ("UPDATE accounts SET owner = 'b' WHERE account_id = 'link/a/b'", 0),
        ("DELETE FROM accounts WHERE account_id = 'link/c/a'", 0),
    ],
)
async def test_what_does_not_follow_from_the_chain_is_named_at_its_row(
    books: Database, nats: NatsServer, statement: str, seq: int
) -> None:
    for table in ("holds", "attempts", "payments"):
        await books.tamper(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    await books.tamper(statement)
    assert await findings(books, nats) == {FindingKind.MISMATCH: seq}


async def test_an_attempt_that_is_missing_among_others_is_named(
    books: Database, nats: NatsServer
) -> None:
    """It took no hold, so no entry tells of it; the next one's number does."""
    async with leading_writer(books.ledger) as writer:
        await ask_all(writer, [demo_mesh.payment_order("q"), CloseOrder("q", 1, "never opened")])
        await ask_all(writer, [demo_mesh.attempt_order("q", 2), CloseOrder("q", 2, "given up")])
    assert await findings(books, nats) == {}
    await books.tamper("DELETE FROM attempts WHERE payment_id = 'q' AND number = 1")
    assert await findings(books, nats) == {FindingKind.MISMATCH: 0}


async def test_a_closed_attempt_that_was_opened_again_is_named(
    books: Database, nats: NatsServer
) -> None:
    """Its payment is open in either case; its holds have gone back."""
    async with leading_writer(books.ledger) as writer:
        await ask_all(writer, [*demo_mesh.whole_payment("r")[:4], CloseOrder("r", 1, "given up")])
    await books.tamper("ALTER TABLE attempts DISABLE TRIGGER ALL")
    await books.tamper("UPDATE attempts SET state = 'open' WHERE payment_id = 'r'")
    assert await findings(books, nats) == {FindingKind.MISMATCH: ROWS + 4}


async def test_a_truncated_tail_with_fitting_balances_is_seen_by_its_anchor_alone(
    books: Database, nats: NatsServer
) -> None:
    """The last payment is taken out whole, balances and all: nothing inside the database is wrong."""
    for table in ("holds", "attempts", "payments"):
        await books.tamper(f"DELETE FROM {table} WHERE payment_id = 'p4'")  # noqa: S608 - names are ours
    await books.tamper("DELETE FROM entries WHERE seq > 20")
    for account, amount in (("a/b", 1100), ("b/a", -1100), ("b/d", 1000), ("d/b", -1000)):
        await books.tamper(
            "UPDATE accounts SET posted = posted + $2 WHERE account_id = $1",
            f"link/{account}",
            amount,
        )
    assert await findings(books, nats) == {FindingKind.TRUNCATED: 21}


async def test_a_tail_that_was_cut_off_and_written_anew_differs_from_older_anchors(
    books: Database, nats: NatsServer
) -> None:
    """A restarted writer goes on from the rows it finds, and its newest anchor fits them: the older ones do not."""
    await books.tamper("DELETE FROM entries WHERE seq > 20")
    async with publishing_writer(books, NatsSettings(url=nats.url)) as (_, writer):
        for number in range(3):
            await ask_all(writer, demo_mesh.whole_payment(f"anew{number}"))
        await books.until_sent()
    found = await findings(books, nats)
    assert 20 < found[FindingKind.ALTERED] <= ROWS


async def test_what_was_written_after_the_last_anchor_is_told_apart(
    books: Database, nats: NatsServer
) -> None:
    async with leading_writer(books.ledger) as writer:
        await ask_all(writer, demo_mesh.whole_payment("unanchored"))
    verdict = await verify(books, nats.url)
    assert verdict.findings == ()
    assert (verdict.head.seq, verdict.anchored_seq) == (ROWS + 4, ROWS)


async def test_a_row_altered_before_the_writer_goes_on_stays_visible(
    books: Database, nats: NatsServer
) -> None:
    """Later rows hang on the hash, not on the content: they hide nothing."""
    await books.tamper("UPDATE entries SET amount = amount + 1 WHERE seq = 9")
    async with leading_writer(books.ledger) as writer:
        await ask_all(writer, demo_mesh.whole_payment("later"))
    assert (await findings(books, nats))[FindingKind.ALTERED] == 9
