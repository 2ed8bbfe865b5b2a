"""A row that the books have and the database no longer has: nothing of the batch is kept, and its callers hear so."""

import pytest
from plm.domain.books import Transfer
from plm.domain.errors import Code, Refused, Unavailable
from plm.domain.orders import TransferOrder
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer
from support.waiting import until

_TAKE_OVER_S = 60.0


def move(name: str) -> TransferOrder:
    return TransferOrder(name, "link/a/b", "link/b/a", 1, "USD")


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM accounts WHERE account_id = 'link/b/a'",
        "DELETE FROM links WHERE from_node = 'a' AND to_node = 'b'",
    ],
)
async def test_a_batch_whose_rows_are_gone_is_not_acknowledged(
    database: Database, harm: str
) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), move("before")])
        await database.run(harm)
        before = await database.rows()
        with pytest.raises(Unavailable) as caught:
            await writer.submit(move("lost"))
        assert caught.value.effect_unknown is False
        assert await database.rows() == before


async def test_the_writer_goes_on_with_the_rows_that_there_are(database: Database) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), move("before")])
        await database.run("DELETE FROM accounts WHERE account_id = 'link/b/a'")
        with pytest.raises(Unavailable):
            await writer.submit(move("lost"))
        await until(lambda: writer.leads, _TAKE_OVER_S, "it leads again, with books read anew")
        with pytest.raises(Refused) as caught:
            await writer.submit(move("lost"))
        assert caught.value.code is Code.UNKNOWN_ACCOUNT
        other = TransferOrder("other", "link/a/c", "link/c/a", 1, "USD")
        assert isinstance(await writer.submit(other), Transfer)
