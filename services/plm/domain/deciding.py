"""All commands of the ledger and the one function that decides them. A refusal is raised, and changed nothing."""

from dataclasses import replace

from plm.domain import registering, settling, transferring
from plm.domain.books import Books, Transfer
from plm.domain.chain import Entry
from plm.domain.mesh import Link, Node
from plm.domain.orders import (
    TIMEOUT_MS_MAX,
    AttemptOrder,
    CloseOrder,
    DisableOrder,
    HoldOrder,
    LinkOrder,
    NodeOrder,
    PaymentOrder,
    PostOrder,
    RefuseOrder,
    TransferOrder,
)
from plm.domain.payments import Attempt, Payment

PaymentCommand = PaymentOrder | AttemptOrder | HoldOrder | PostOrder | CloseOrder | RefuseOrder
Command = PaymentCommand | TransferOrder | NodeOrder | LinkOrder | DisableOrder
Answer = Payment | Attempt | Transfer | Node | Link


def decide(books: Books, command: Command, now_ms: int) -> Answer:  # noqa: C901, PLR0911 - a table, one line a command
    """Carry a command out on the books. Raises PlmError and leaves them untouched when it must not be."""
    match command:
        case HoldOrder():
            return settling.hold(books, command, now_ms)
        case PostOrder():
            return settling.post_attempt(books, command, now_ms)
        case AttemptOrder():
            return settling.begin_attempt(books, command, now_ms)
        case PaymentOrder():
            return settling.begin_payment(books, command, now_ms)
        case CloseOrder():
            return settling.close_attempt(books, command, now_ms)
        case TransferOrder():
            return transferring.transfer(books, command)
        case RefuseOrder():
            return settling.refuse_payment(books, command, now_ms)
        case NodeOrder():
            return registering.register_node(books, command)
        case LinkOrder():
            return registering.register_link(books, command)
        case DisableOrder():
            return registering.disable_node(books, command.node_id)


def expired(books: Books, now_ms: int) -> list[CloseOrder]:
    """Attempts whose deadline has passed: whatever became of their nodes, their holds go back."""
    return [
        CloseOrder(payment_id, number, "expired")
        for (payment_id, number), deadline_ms in books.deadlines.items()
        if deadline_ms < now_ms
    ]


def bound_deadlines(books: Books, now_ms: int) -> None:
    """No open attempt lasts longer from now on than a new one could: its writer's clock may have been ahead of ours."""
    for key, deadline_ms in books.deadlines.items():
        books.deadlines[key] = min(deadline_ms, now_ms + TIMEOUT_MS_MAX)


def seal(books: Books, entries: list[Entry]) -> None:
    """Write the places of the batch's entries into the records that show them, and bring moved links up to date."""
    changes = books.changes
    books.refresh_links()
    for hold_id, index in changes.hold_drafts.items():
        payment_id, number, hop = hold_id.rsplit("/", 2)
        attempt = books.attempts[payment_id, int(number)]
        holds = tuple(
            replace(each, entry_seq=entries[index].seq, entry_hash=entries[index].hash)
            if each.hop == int(hop)
            else each
            for each in attempt.holds
        )
        books.attempts[payment_id, int(number)] = replace(attempt, holds=holds)
    for transfer_id in changes.transfers:
        posted = books.transfers[transfer_id]
        entry = entries[posted.draft_index]
        books.transfers[transfer_id] = posted._replace(
            draft_index=-1, entry_seq=entry.seq, entry_hash=entry.hash
        )


def sealed(books: Books, answer: Answer) -> Answer:
    """An answer as it stands once its batch is sealed."""
    match answer:
        case Attempt():
            return books.attempts[answer.payment_id, answer.number]
        case Payment():
            return settling.view(books, books.payments[answer.order.payment_id])
        case Transfer():
            return books.transfers[answer.transfer_id]
        case Link():
            return books.links[answer.key]
        case Node():
            return answer
