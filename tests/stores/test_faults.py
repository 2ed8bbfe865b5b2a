"""A command that breaks the program, not a rule: its sender hears so, nobody else suffers, nothing half is kept."""

import asyncio

import pytest
from plm.domain import settling, transferring
from plm.domain.books import Books, Transfer
from plm.domain.chain import EntryDraft
from plm.domain.errors import Code, Unavailable
from plm.domain.orders import HoldOrder, TransferOrder
from plm.domain.payments import Attempt
from plm.ledger.writer import Writer
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer
from support.waiting import until

_TAKE_OVER_S = 60.0
HELD = demo_mesh.whole_payment("p")[:4]


def move(name: str) -> TransferOrder:
    return TransferOrder(name, "link/a/b", "link/b/a", 1, "USD")


async def failure(writer: Writer, command: TransferOrder | HoldOrder) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await writer.submit(command)
    assert not caught.value.effect_unknown
    return caught.value


async def epoch(database: Database) -> int:
    return int((await database.run("SELECT epoch FROM writer"))[0]["epoch"])


async def test_a_fault_before_any_change_fails_one_command_of_its_batch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = transferring.transfer

    def faulty(books: Books, order: TransferOrder) -> Transfer:
        if order.transfer_id == "harmful":
            raise ZeroDivisionError
        return transfer(books, order)

    monkeypatch.setattr(transferring, "transfer", faulty)
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        names = ["before", "harmful", "after"]
        answers = await asyncio.gather(
            *(writer.submit(move(name)) for name in names), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [Transfer, Unavailable, Transfer]
        assert (await failure(writer, move("harmful"))).code is Code.INTERNAL
        assert await epoch(database) == 1


async def test_a_fault_after_a_change_keeps_nothing_and_costs_one_term_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books in memory are thrown away; asked again, the same command is refused before it harms anybody."""
    hold = settling.hold

    def faulty(books: Books, order: HoldOrder, now_ms: int) -> Attempt:
        if order.payment_id == "p":
            books.record(EntryDraft("p/1/0", "hold", "link/a/b", "link/b/a", 7, "USD", "p/1"))
            raise ZeroDivisionError
        return hold(books, order, now_ms)

    monkeypatch.setattr(settling, "hold", faulty)
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *HELD[:2]])
        before = await database.rows()
        await failure(writer, demo_mesh.hold_order("p", 1, 0))
        assert await database.rows() == before
        await until(lambda: writer.leads, _TAKE_OVER_S, "it leads again")
        assert (await failure(writer, demo_mesh.hold_order("p", 1, 0))).code is Code.INTERNAL
        await ask_all(writer, demo_mesh.whole_payment("q"))
        assert await epoch(database) == 2
    assert await database.balance("link/a/b") == (demo_mesh.VOLUME - 1100, 0)


async def test_an_attempt_that_cannot_be_closed_stops_nobody_else(database: Database) -> None:
    """Somebody took an account away under its hold: the attempt stays as it is, and all others go on."""
    now = [1_000]
    async with leading_writer(database.ledger, lambda: now[0]) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *HELD])
    await database.run("DELETE FROM accounts WHERE account_id = 'link/d/b'")
    now[0] += 60_000
    async with leading_writer(database.ledger, lambda: now[0]) as writer:
        await ask_all(writer, [move("one"), move("two")])
        assert await epoch(database) == 2
    holds = await database.run("SELECT state FROM holds")
    assert [row["state"] for row in holds] == ["pending", "pending"]
