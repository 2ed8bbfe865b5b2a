"""Direct transfers: money that moves between two accounts at once."""

from plm.domain import ids
from plm.domain.books import Books, Transfer, check_amount, check_debt, check_room
from plm.domain.chain import EntryDraft, EntryKind
from plm.domain.errors import Code, Conflict, Refused
from plm.domain.orders import TransferOrder


def transfer(books: Books, order: TransferOrder) -> Transfer:
    """Post a transfer. The same id and body again is the same transfer; another body is a Conflict(key_reused)."""
    if not order.transfer_id or order.transfer_id.startswith(ids.FUNDING):
        raise Refused(
            Code.INVALID_REQUEST,
            f"a transfer has an id, and {ids.FUNDING}… is what links are funded by",
        )
    known = books.transfers.get(order.transfer_id)
    if known is not None:
        return _same(known, order)
    check_amount(order.amount)
    debit, credit = books.account(order.debit), books.account(order.credit)
    if debit is credit:
        raise Refused(Code.INVALID_REQUEST, "debit and credit are the same account")
    for account in (debit, credit):
        if account.currency != order.currency:
            raise Refused(
                Code.CURRENCY_MISMATCH,
                f"{account.account_id} is in {account.currency}, not {order.currency}",
            )
    if debit.kind == "external":
        check_debt(debit, order.amount)
    elif debit.available < order.amount:
        raise Refused(
            Code.INSUFFICIENT_FUNDS, f"{order.debit} has {debit.available}, needs {order.amount}"
        )
    check_room(credit, order.amount)
    return book(books, order, EntryKind.TRANSFER)


def book(books: Books, order: TransferOrder, kind: EntryKind) -> Transfer:
    """Post without asking: everything has been checked."""
    draft = EntryDraft(
        order.transfer_id,
        kind,
        order.debit,
        order.credit,
        order.amount,
        order.currency,
        order.transfer_id,
    )
    index = books.record(draft)
    posted = Transfer(
        order.transfer_id, order.debit, order.credit, order.amount, order.currency, kind, index
    )
    books.transfers[order.transfer_id] = posted
    books.changes.transfers.append(order.transfer_id)
    return posted


def _same(known: Transfer, order: TransferOrder) -> Transfer:
    body = TransferOrder(known.transfer_id, known.debit, known.credit, known.amount, known.currency)
    if body != order:
        raise Conflict(Code.KEY_REUSED, f"transfer {order.transfer_id} exists with another body")
    return known
