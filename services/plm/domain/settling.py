"""Payments through the ledger: begin, try, hold, post or close. The one place that says when money moves.

An attempt is posted or closed, never both, because both are decisions of one writer about one record.
"""

from dataclasses import replace

from plm.domain import ids
from plm.domain.books import Books, check_amount, check_room
from plm.domain.chain import EntryDraft, EntryKind
from plm.domain.errors import Code, Conflict, Refused
from plm.domain.money import scale_of
from plm.domain.opening import check_policy, check_route
from plm.domain.orders import (
    TIMEOUT_MS_MAX,
    AttemptOrder,
    CloseOrder,
    HoldOrder,
    Hop,
    PaymentOrder,
    PostOrder,
    RefuseOrder,
)
from plm.domain.payments import (
    Attempt,
    AttemptState,
    Hold,
    HoldState,
    Payment,
    PaymentState,
)

ATTEMPTS_MAX = 32


def begin_payment(books: Books, order: PaymentOrder, now_ms: int) -> Payment:
    """Store what the client asked for. The same order again is the same payment.

    It is refused where the mesh cannot carry it. Raises Refused, and stores nothing, for what no mesh could carry: that
    needs no record to be the same for ever.
    """
    known = books.payments.get(order.payment_id)
    if known is not None:
        if known.order != order:
            raise Conflict(Code.KEY_REUSED, "this idempotency key was used with another body")
        return view(books, known)
    check_amount(order.amount)
    scale_of(order.currency)
    if order.from_node == order.to_node:
        raise Refused(Code.SAME_NODE, "sender and receiver are the same node")
    books.put_payment(Payment(order, PaymentState.OPEN, now_ms))
    refusal = _refusal(books, order)
    if refusal is not None:
        # The mesh may change and the answer may not, else a late copy of the request would pay: so it is kept.
        return refuse_payment(books, refusal, now_ms)
    return view(books, books.payments[order.payment_id])


def _refusal(books: Books, order: PaymentOrder) -> RefuseOrder | None:
    """Why the mesh as it is cannot carry this payment, whatever the route."""
    for node_id in (order.from_node, order.to_node):
        node = books.nodes.get(node_id)
        if node is None or not node.enabled:
            detail = f"no node {node_id!r} in the mesh"
            return RefuseOrder(order.payment_id, Code.UNKNOWN_NODE, detail)
        if node.currency != order.currency:
            detail = f"{node_id} is in {node.currency}, not {order.currency}"
            return RefuseOrder(order.payment_id, Code.CURRENCY_MISMATCH, detail)
    return None


def begin_attempt(books: Books, order: AttemptOrder, now_ms: int) -> Attempt:
    """Record a route before anything moves over it. The same attempt again is the same answer."""
    payment = books.payment(order.payment_id)
    known = books.attempts.get((order.payment_id, order.number))
    if known is not None:
        if known.state is AttemptState.CLOSED:
            raise Conflict(
                Code.ATTEMPT_CLOSED, f"attempt {order.number} is closed: {known.close_reason}"
            )
        if known.hops != order.hops:
            raise Conflict(Code.KEY_REUSED, f"attempt {order.number} has another route")
        return known
    _check_next(books, payment, order)
    check_route(books, payment.order, order.hops)
    attempt = Attempt(
        order.payment_id,
        order.number,
        AttemptState.OPEN,
        order.hops,
        opened_at_ms=now_ms,
        deadline_ms=now_ms + order.timeout_ms,
    )
    books.put_attempt(attempt)
    return attempt


def hold(books: Books, order: HoldOrder, now_ms: int) -> Attempt:
    """Set aside the money of one hop; only the debited side may ask. Taking it twice is taking it once."""
    payment_id, number, hop = order.payment_id, order.number, order.hop
    attempt = _attempt(books, payment_id, number)
    # First: what was closed before it was opened has no hops, and who asks is not to blame for that.
    _check_open(attempt, now_ms)
    if not 0 <= hop < len(attempt.hops):
        raise Refused(Code.INVALID_REQUEST, f"attempt {number} has no hop {hop}")
    planned = attempt.hops[hop]
    if planned.from_node != order.owner:
        raise Refused(
            Code.NOT_OWNER, f"hop {hop} debits {planned.from_node}, not {order.owner or 'you'}"
        )
    if any(taken.hop == hop for taken in attempt.holds):
        return attempt  # before anything that may have changed since it was taken
    check_policy(books, planned)
    debit_id = ids.link_account(planned.from_node, planned.to_node)
    debit = books.account(debit_id)
    if debit.available < planned.amount:
        raise Refused(
            Code.INSUFFICIENT_FUNDS, f"{debit_id} has {debit.available}, needs {planned.amount}"
        )
    currency = books.payment(payment_id).order.currency
    hold_id = ids.hold_id(payment_id, number, hop)
    index = books.record(_draft(hold_id, EntryKind.HOLD, planned, currency))
    books.changes.hold_drafts[hold_id] = index
    taken = Hold(hold_id, hop, HoldState.PENDING)
    holds = tuple(sorted((*attempt.holds, taken), key=lambda each: each.hop))
    books.put_attempt(replace(attempt, holds=holds))
    return books.attempts[payment_id, number]


def post_attempt(books: Books, order: PostOrder, now_ms: int) -> Attempt:
    """The commit point: all holds of the attempt move at once, or nothing does."""
    payment_id, number = order.payment_id, order.number
    attempt = _attempt(books, payment_id, number)
    if attempt.hops and attempt.hops[0].from_node != order.owner:
        raise Refused(Code.NOT_OWNER, "only the first node of the route posts")
    if attempt.state is AttemptState.POSTED:
        return attempt
    _check_open(attempt, now_ms)
    needed = tuple(ids.hold_id(payment_id, number, hop) for hop in range(len(attempt.hops)))
    taken = {each.hold_id for each in attempt.holds if each.state is HoldState.PENDING}
    if order.hold_ids != needed or set(needed) != taken:
        missing = sorted(set(needed) - taken)
        raise Refused(
            Code.INVALID_REQUEST,
            f"a post names exactly the holds of its {len(needed)} hops; missing {missing}",
        )
    currency = books.payment(payment_id).order.currency
    far_ids = [ids.link_account(hop.to_node, hop.from_node) for hop in attempt.hops]
    # A node may have left since the attempt began: what is promised is paid, and who has money is open.
    far_ends = [books.account(each, may_be_closed=True) for each in far_ids]
    for account, hop in zip(far_ends, attempt.hops, strict=True):
        check_room(account, hop.amount)
    for account in far_ends:
        books.open_account(account.account_id, account.owner, account.currency, account.kind)
    holds = _end_holds(books, attempt, EntryKind.POST, HoldState.POSTED, currency)
    books.put_attempt(replace(attempt, state=AttemptState.POSTED, ended_at_ms=now_ms, holds=holds))
    payment = books.payments[payment_id]
    books.put_payment(replace(payment, state=PaymentState.SETTLED, ended_at_ms=now_ms))
    return books.attempts[payment_id, number]


def close_attempt(books: Books, order: CloseOrder, now_ms: int) -> Attempt:
    """Write the tombstone and give the holds back, unless the attempt is posted. The answer says which it is."""
    payment_id, number = order.payment_id, order.number
    payment = books.payment(payment_id)
    attempt = books.attempts.get((payment_id, number))
    if attempt is None:
        _check_number(books, payment_id, number)
        # Closed before it was ever opened: whatever comes of it later will meet this tombstone.
        attempt = Attempt(payment_id, number, AttemptState.OPEN, (), now_ms, now_ms)
    if attempt.state is not AttemptState.OPEN:
        return attempt
    stops = {node_id for hop in attempt.hops for node_id in (hop.from_node, hop.to_node)}
    holds = _end_holds(books, attempt, EntryKind.VOID, HoldState.VOIDED, payment.order.currency)
    books.put_attempt(
        replace(
            attempt,
            state=AttemptState.CLOSED,
            ended_at_ms=now_ms,
            close_reason=order.reason,
            # Who had no part cannot have failed, whoever says so.
            failed_node=order.failed_node if order.failed_node in stops else "",
            holds=holds,
        )
    )
    return books.attempts[payment_id, number]


def refuse_payment(books: Books, order: RefuseOrder, now_ms: int) -> Payment:
    """Keep a definite refusal as the payment's answer. Not while an attempt may still post."""
    payment_id = order.payment_id
    payment = books.payment(payment_id)
    if payment.state is PaymentState.OPEN:
        for attempt in books.attempts_of(payment_id):
            if attempt.state is AttemptState.OPEN:
                raise Conflict(Code.ATTEMPT_OPEN, f"attempt {attempt.number} is still open")
        books.put_payment(
            replace(
                payment,
                state=PaymentState.REFUSED,
                ended_at_ms=now_ms,
                refusal_code=order.code,
                refusal_detail=order.detail,
            )
        )
    return view(books, books.payments[payment_id])


def view(books: Books, payment: Payment) -> Payment:
    """A payment with its attempts."""
    return replace(payment, attempts=books.attempts_of(payment.order.payment_id))


def _attempt(books: Books, payment_id: str, number: int) -> Attempt:
    books.payment(payment_id)
    attempt = books.attempts.get((payment_id, number))
    if attempt is None:
        raise Conflict(Code.ATTEMPT_CLOSED, f"attempt {number} of {payment_id} was never opened")
    return attempt


def _check_open(attempt: Attempt, now_ms: int) -> None:
    if attempt.state is AttemptState.POSTED:
        raise Conflict(Code.ATTEMPT_POSTED, f"attempt {attempt.number} is posted")
    if attempt.state is AttemptState.CLOSED:
        raise Conflict(
            Code.ATTEMPT_CLOSED, f"attempt {attempt.number} is closed: {attempt.close_reason}"
        )
    if now_ms > attempt.deadline_ms:
        raise Conflict(Code.ATTEMPT_CLOSED, f"attempt {attempt.number} is past its deadline")


def _check_number(books: Books, payment_id: str, number: int) -> None:
    expected = books.attempts_last.get(payment_id, 0) + 1
    if number != expected:
        raise Refused(Code.INVALID_REQUEST, f"the next attempt is {expected}")
    if number > ATTEMPTS_MAX:
        raise Refused(Code.ATTEMPTS_EXHAUSTED, f"all {ATTEMPTS_MAX} attempts have failed")


def _check_next(books: Books, payment: Payment, order: AttemptOrder) -> None:
    if payment.state is not PaymentState.OPEN:
        raise Conflict(Code.PAYMENT_ENDED, f"the payment is {payment.state}")
    for earlier in books.attempts_of(order.payment_id):
        if earlier.state is not AttemptState.CLOSED:
            raise Conflict(Code.ATTEMPT_OPEN, f"attempt {earlier.number} is {earlier.state}")
    _check_number(books, order.payment_id, order.number)
    if not 0 < order.timeout_ms <= TIMEOUT_MS_MAX:
        raise Refused(Code.INVALID_REQUEST, f"timeout_ms is 1 to {TIMEOUT_MS_MAX}")


def _end_holds(
    books: Books, attempt: Attempt, kind: EntryKind, state: HoldState, currency: str
) -> tuple[Hold, ...]:
    drafts = [
        _draft(each.hold_id, kind, attempt.hops[each.hop], currency) for each in attempt.holds
    ]
    for draft in drafts:
        _ = books.accounts[draft.debit], books.accounts[draft.credit]  # all are there, or none ends
    ended = []
    for each, draft in zip(attempt.holds, drafts, strict=True):
        index = books.record(draft)
        books.changes.hold_drafts[each.hold_id] = index
        ended.append(replace(each, state=state))
    return tuple(ended)


def _draft(hold_id: str, kind: EntryKind, hop: Hop, currency: str) -> EntryDraft:
    debit = ids.link_account(hop.from_node, hop.to_node)
    credit = ids.link_account(hop.to_node, hop.from_node)
    return EntryDraft(
        hold_id, kind, debit, credit, hop.amount, currency, hold_id.rpartition("/")[0]
    )
