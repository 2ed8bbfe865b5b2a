"""Which payments and transfers the writer's copy of the books holds: read when asked for, dropped when long unasked."""

from collections import OrderedDict
from itertools import islice

from plm.domain.books import Books
from plm.domain.deciding import Command
from plm.domain.orders import DisableOrder, LinkOrder, NodeOrder, TransferOrder
from plm.ledger import rows
from plm.stores.postgres import Connection

# Far more than the batches under way can name: what they have changed is not yet in the database to be read again.
_REMEMBERED_MAX = 20_000


class Recall:
    """The payments asked for lately, newest last."""

    def __init__(self) -> None:
        self._recent: OrderedDict[str, None] = OrderedDict()

    async def look_up(self, connection: Connection, books: Books, commands: list[Command]) -> None:
        """Read the payments and transfers that the commands name and the copy lacks."""
        payments, transfers = set(), set()
        for command in commands:
            match command:
                case TransferOrder():
                    if command.transfer_id not in books.transfers:
                        transfers.add(command.transfer_id)
                case NodeOrder() | LinkOrder() | DisableOrder():
                    pass  # nodes and links are all there
                case _:
                    if command.payment_id not in books.payments:
                        payments.add(command.payment_id)
        await rows.load_payments(connection, books, sorted(payments))
        await rows.load_transfers(connection, books, sorted(transfers))

    def forget(self, books: Books, commands: list[Command]) -> None:
        """Keep the copy bounded: what was not asked for lately is read again when it is."""
        for command in commands:
            payment_id = getattr(command, "payment_id", None)
            if payment_id is not None:
                self._recent[payment_id] = None
                self._recent.move_to_end(payment_id)
        # Each is looked at once: were all of them open, looking on would not end.
        for _look in range(len(self._recent) - _REMEMBERED_MAX):
            payment_id, _ = self._recent.popitem(last=False)
            last = books.attempts_last.get(payment_id, 0)
            if (payment_id, last) in books.deadlines:
                self._recent[payment_id] = None  # its attempt is open: it must stay to expire
            else:
                books.forget_payment(payment_id)
        # All in one go: a dictionary looks for its first key past all that were taken out before.
        surplus = max(0, len(books.transfers) - _REMEMBERED_MAX)
        for transfer_id in list(islice(books.transfers, surplus)):
            del books.transfers[transfer_id]
