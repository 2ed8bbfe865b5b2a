"""The writer on a real Postgres: one effect for one id, no effect for a refusal, the truth after a restart."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from plm.domain.books import Transfer
from plm.domain.deciding import Command
from plm.domain.errors import Code, Conflict, PlmError
from plm.domain.orders import CloseOrder, DisableOrder, HoldOrder, TransferOrder
from plm.domain.payments import Attempt, AttemptState, Payment, PaymentState
from plm.ledger import recalling
from plm.ledger.writer import Writer
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer

COPIES = 50
MOVE = TransferOrder("t", "link/a/b", "link/b/a", 700, "USD")


@pytest.mark.parametrize("place", range(6))
async def test_fifty_copies_at_once_have_one_effect_and_one_answer(
    database: Database, place: int
) -> None:
    """Each step of a payment and a transfer, in parallel, and again after a restart."""
    course = [*demo_mesh.whole_payment("p"), MOVE]
    command, before = course[place], course[:place]
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *before])
        seq = len(await database.run("SELECT 1 FROM entries"))
        answers = await asyncio.gather(*(writer.submit(command) for _ in range(COPIES)))
        rows = await database.rows()
    assert len(set(answers)) == 1
    entries_of = [0, 0, 1, 1, 2, 1]  # begin, attempt, two holds, post of two, transfer
    assert len(rows["entries"]) - seq == entries_of[place]
    async with leading_writer(database.ledger) as writer:
        again = await asyncio.gather(*(writer.submit(command) for _ in range(COPIES)))
    assert set(again) == set(answers)
    assert {**await database.rows(), "outbox": []} == {**rows, "outbox": []}


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (MOVE, replace(MOVE, amount=701)),
        (MOVE, replace(MOVE, credit="link/c/a")),
        (demo_mesh.payment_order("p"), demo_mesh.payment_order("p", 999)),
        (demo_mesh.payment_order("p"), replace(demo_mesh.payment_order("p"), client_id="x")),
        (demo_mesh.payment_order("p"), replace(demo_mesh.payment_order("p"), body_sha256=b"x")),
    ],
)
async def test_the_same_id_with_another_body_is_refused_also_after_a_restart(
    database: Database, first: Command, other: Command
) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), first])
        rows = await database.rows()
        assert await refusal(writer, other) is Code.KEY_REUSED
    async with leading_writer(database.ledger) as writer:
        assert await refusal(writer, other) is Code.KEY_REUSED
    assert await database.rows() == rows


@pytest.mark.parametrize(
    ("to_node", "code"), [("nobody", Code.UNKNOWN_NODE), ("e", Code.CURRENCY_MISMATCH)]
)
async def test_a_payment_that_the_mesh_cannot_carry_is_refused_for_good_also_after_a_restart(
    database: Database, to_node: str, code: Code
) -> None:
    order = replace(demo_mesh.payment_order("p"), to_node=to_node)
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        entries = (await database.rows())["entries"]
        first = await writer.submit(order)
    assert isinstance(first, Payment)
    assert (first.state, first.refusal_code) == (PaymentState.REFUSED, code)
    async with leading_writer(database.ledger) as writer:
        await writer.submit(replace(demo_mesh.node_order("a"), node_id="nobody"))
        assert await writer.submit(order) == first
        assert await refusal(writer, demo_mesh.payment_order("p")) is Code.KEY_REUSED
    assert (await database.rows())["entries"] == entries


async def refusal(writer: Writer, command: Command) -> Code:
    with pytest.raises(PlmError) as caught:
        await writer.submit(command)
    return caught.value.code


TOO_MUCH = 10**38
EMPTIED = [demo_mesh.link_order("a", "c", 0, 2), DisableOrder("a")]
OPEN = demo_mesh.whole_payment("p")[:2]
HELD = demo_mesh.whole_payment("p")[:4]
CLOSED = [*HELD, CloseOrder("p", 1, "given up")]


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        ([], replace(MOVE, amount=0), Code.INVALID_AMOUNT),
        ([], replace(MOVE, amount=-1), Code.INVALID_AMOUNT),
        ([], replace(MOVE, amount=TOO_MUCH), Code.AMOUNT_TOO_LARGE),
        ([], replace(MOVE, debit="link/a/z"), Code.UNKNOWN_ACCOUNT),
        ([], replace(MOVE, credit="link/z/a"), Code.UNKNOWN_ACCOUNT),
        (EMPTIED, replace(MOVE, debit="link/a/c"), Code.ACCOUNT_CLOSED),
        ([], replace(MOVE, currency="EUR"), Code.CURRENCY_MISMATCH),
        ([], replace(MOVE, debit="external/EUR"), Code.CURRENCY_MISMATCH),
        ([], replace(MOVE, amount=demo_mesh.VOLUME + 1), Code.INSUFFICIENT_FUNDS),
        ([], replace(MOVE, debit="external/USD", amount=TOO_MUCH - 1), Code.AMOUNT_TOO_LARGE),
        ([MOVE], replace(MOVE, amount=1), Code.KEY_REUSED),
        ([], demo_mesh.payment_order("p", 0), Code.INVALID_AMOUNT),
        ([], demo_mesh.payment_order("p", -7), Code.INVALID_AMOUNT),
        ([], demo_mesh.payment_order("p", TOO_MUCH), Code.AMOUNT_TOO_LARGE),
        ([], replace(demo_mesh.payment_order("p"), currency="XYZ"), Code.UNKNOWN_CURRENCY),
        ([demo_mesh.payment_order("p")], demo_mesh.payment_order("p", 8), Code.KEY_REUSED),
        (OPEN, HoldOrder("p", 1, 0, "b"), Code.NOT_OWNER),
        (OPEN, HoldOrder("p", 1, 1, "a"), Code.NOT_OWNER),
        (OPEN, HoldOrder("p", 1, 0, ""), Code.NOT_OWNER),
        ([*OPEN, demo_mesh.link_order("a", "b", 1099, 2)], demo_mesh.hold_order("p", 1, 0), Code.INSUFFICIENT_FUNDS),
        (HELD, replace(demo_mesh.post_order("p"), owner="b"), Code.NOT_OWNER),
        (HELD, replace(demo_mesh.post_order("p"), hold_ids=("p/1/0",)), Code.INVALID_REQUEST),
        (CLOSED, demo_mesh.post_order("p"), Code.ATTEMPT_CLOSED),
        (CLOSED, demo_mesh.hold_order("p", 1, 0), Code.ATTEMPT_CLOSED),
        (CLOSED, demo_mesh.attempt_order("p"), Code.ATTEMPT_CLOSED),
        ([], demo_mesh.hold_order("p", 1, 0), Code.UNKNOWN_PAYMENT),
        ([], replace(MOVE, transfer_id="nul\0"), Code.INVALID_REQUEST),
        ([], replace(MOVE, transfer_id="fund/a/b/2"), Code.INVALID_REQUEST),
        ([], demo_mesh.payment_order("".join(map(str, range(9_000)))), Code.INVALID_REQUEST),
    ],
)  # fmt: skip
async def test_a_refusal_has_its_code_and_no_effect(
    database: Database, before: Sequence[Command], command: Command, code: Code
) -> None:
    """Not a row differs, and what is in the same batch is done all the same."""
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *before])
        rows = await database.rows()
        assert await refusal(writer, command) is code
        assert await database.rows() == rows
        good = [replace(MOVE, transfer_id=f"good-{number}", amount=1) for number in range(2)]
        answers = await asyncio.gather(
            writer.submit(good[0]),
            writer.submit(command),
            writer.submit(good[1]),
            return_exceptions=True,
        )
    assert isinstance(answers[1], PlmError)
    assert [type(answer) for answer in (answers[0], answers[2])] == [Transfer, Transfer]
    transfers = await database.run("SELECT 1 FROM transfers WHERE transfer_id LIKE 'good-%'")
    assert len(transfers) == 2


@pytest.mark.parametrize("is_post_first", [True, False])
async def test_a_late_commit_and_a_closing_attempt_never_both_win(
    database: Database, is_post_first: bool
) -> None:
    """Provoked both ways, with many at once: who comes first decides, the other hears what was decided."""
    ids = [f"p{number}" for number in range(20)]
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        for payment_id in ids:
            await ask_all(writer, demo_mesh.whole_payment(payment_id)[:4])
        races = []
        for payment_id in ids:
            pair: list[Command] = [
                demo_mesh.post_order(payment_id),
                CloseOrder(payment_id, 1, "slow"),
            ]
            races += [writer.submit(each) for each in (pair if is_post_first else pair[::-1])]
        answers = await asyncio.gather(*races, return_exceptions=True)
    for post, close in zip(*[iter(answers)] * 2, strict=True):
        if not is_post_first:
            post, close = close, post  # noqa: PLW2901 - the order in which they were asked
        assert isinstance(close, Attempt)
        if is_post_first:
            assert isinstance(post, Attempt)
            assert (post.state, close.state) == (AttemptState.POSTED, AttemptState.POSTED)
        else:
            assert isinstance(post, Conflict)
            assert (post.code, close.state) == (Code.ATTEMPT_CLOSED, AttemptState.CLOSED)
    moved = 20 * 1100 if is_post_first else 0
    assert await database.balance("link/a/b") == (demo_mesh.VOLUME - moved, 0)


async def test_what_was_forgotten_is_read_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy of the books is bounded: an old id still has its answer, an open attempt is never dropped."""
    monkeypatch.setattr(recalling, "_REMEMBERED_MAX", 2)
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        opened = [f"open{number}" for number in range(5)]
        for payment_id in opened:
            await ask_all(writer, demo_mesh.whole_payment(payment_id)[:4])
        first = [
            await ask_all(writer, demo_mesh.whole_payment(f"p{number}")) for number in range(5)
        ]
        moved = [
            await writer.submit(replace(MOVE, transfer_id=f"t{number}")) for number in range(5)
        ]
        assert [
            await writer.submit(demo_mesh.post_order(f"p{number}")) for number in range(5)
        ] == first
        again = [
            await writer.submit(replace(MOVE, transfer_id=f"t{number}")) for number in range(5)
        ]
        for payment_id in opened:
            await writer.submit(demo_mesh.post_order(payment_id))
    assert again == moved
    posted = await database.run("SELECT 1 FROM attempts WHERE state = 'posted'")
    assert len(posted) == 10


async def test_a_caller_that_left_is_served_all_the_same(database: Database) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        task = asyncio.create_task(writer.submit(MOVE))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answer = await writer.submit(MOVE)
    assert isinstance(answer, Transfer)
    assert len(await database.run("SELECT 1 FROM transfers WHERE transfer_id = 't'")) == 1


async def test_a_full_queue_says_so_and_does_nothing(database: Database) -> None:
    async with leading_writer(database.ledger) as leader:
        await ask_all(leader, demo_mesh.founding())
        orders = [replace(MOVE, transfer_id=f"t{number}", amount=1) for number in range(5_000)]
        answers = await asyncio.gather(*map(leader.submit, orders), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, PlmError)]
    assert refused
    assert {answer.code for answer in refused} == {Code.OVERLOADED}
    done = await database.run("SELECT 1 FROM transfers WHERE kind = 'transfer'")
    assert len(done) == len(orders) - len(refused)


async def test_an_attempt_is_closed_and_the_next_opened_in_one_batch(database: Database) -> None:
    """Only one may be open, also for the database: whatever their order in memory, the closed one is written first."""
    ids = [f"p{number}" for number in range(30)]
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        for payment_id in ids:
            await ask_all(writer, demo_mesh.whole_payment(payment_id)[:2])
        asked: list[Command] = []
        for payment_id in ids:
            asked += [
                CloseOrder(payment_id, 1, "slow"),
                demo_mesh.attempt_order(payment_id, 2, "acd"),
            ]
        answers = await asyncio.gather(*map(writer.submit, asked))
    assert [answer.state for answer in answers if isinstance(answer, Attempt)] == [
        AttemptState.CLOSED,
        AttemptState.OPEN,
    ] * len(ids)


async def whole_reads(database: Database) -> int:
    """How often a table was read from end to end so far, counted once all who might have are gone."""
    still_there = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = 'ledger'"
    )
    while await database.run(still_there):  # noqa: ASYNC110 - a row sets no event
        await asyncio.sleep(0.02)
    rows = await database.run(
        "SELECT sum(seq_scan) AS scans FROM pg_stat_user_tables WHERE relname <> 'writer'"
    )
    return int(rows[0]["scans"])


async def test_work_reads_no_table_whole_however_new_it_is(database: Database) -> None:
    """Plans are made while tables are empty and kept while they grow: beyond taking the lead, all goes by key."""
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
    founded = await whole_reads(database)
    async with leading_writer(database.ledger):
        pass
    led = await whole_reads(database)
    async with leading_writer(database.ledger) as writer:
        for number in range(8):
            names = [f"{number}-{copy}" for copy in range(64)]
            moves = [writer.submit(replace(MOVE, transfer_id=name, amount=1)) for name in names]
            payments = [ask_all(writer, demo_mesh.whole_payment(f"p{name}")) for name in names]
            await asyncio.gather(*moves, *payments)
    assert await whole_reads(database) - led == led - founded
