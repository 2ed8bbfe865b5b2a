"""The writer's working copy of the books, and everything one batch changes in it.

Rule of every decision: check all, then change. A refusal leaves the books exactly as they were.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from plm.domain import ids
from plm.domain.chain import EntryDraft, EntryKind
from plm.domain.errors import Code, Refused
from plm.domain.mesh import Link, Node
from plm.domain.money import MINOR_UNITS_MAX
from plm.domain.payments import Attempt, AttemptState, Payment

# Tuples, because members of an enumeration are compared faster than hashed, and this runs for every entry.
_ENDS_OF_HOLDS = (EntryKind.POST, EntryKind.VOID)
_STANDSTILLS = (EntryKind.HOLD, EntryKind.VOID)
Key = tuple[str, str]
AttemptKey = tuple[str, int]
_Name = TypeVar("_Name")


@dataclass(slots=True)
class Account:
    """A balance. `posted - held` is what can still be spent."""

    account_id: str
    owner: str  # node id; empty for external accounts
    currency: str
    kind: str  # link | external
    posted: int = 0
    held: int = 0
    closed: bool = False
    link: Key = field(
        init=False, repr=False
    )  # whose money this is; no link's for an external account

    def __post_init__(self) -> None:
        _, *ends = self.account_id.split("/")
        self.link = (ends[0], ends[1]) if self.kind == "link" else ("", "")

    @property
    def available(self) -> int:
        """What a new hold or transfer may take."""
        return self.posted - self.held


class Transfer(NamedTuple):
    """A direct transfer, remembered under its id for ever."""

    transfer_id: str
    debit: str
    credit: str
    amount: int
    currency: str
    kind: str
    draft_index: int = -1  # place among the batch's drafts, -1 once it is in the database
    entry_seq: int = 0
    entry_hash: bytes = b""


@dataclass(slots=True)
class Changes:
    """What a batch did, to be written in one transaction."""

    drafts: list[EntryDraft] = field(default_factory=list)
    accounts: set[str] = field(default_factory=set)  # opened or closed
    balances: set[str] = field(default_factory=set)  # moved
    transfers: list[str] = field(default_factory=list)
    payments: set[str] = field(default_factory=set)
    attempts: set[AttemptKey] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    links: set[Key] = field(default_factory=set)  # declared, changed or disabled
    # Links whose money has moved: their volume and version are brought up to date once, when the batch is sealed.
    moved: set[Key] = field(default_factory=set)
    # Hold id → index of the draft that is its latest change in this batch.
    hold_drafts: dict[str, int] = field(default_factory=dict)
    steps: int = 0  # grows with every change, so that a decision that broke off half-way shows

    def __bool__(self) -> bool:
        return bool(
            self.drafts
            or self.payments
            or self.attempts
            or self.nodes
            or self.links
            or self.accounts
        )


@dataclass(slots=True)
class Books:
    """All accounts, nodes and links; payments and transfers as far as they were looked up."""

    accounts: dict[str, Account] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    links: dict[Key, Link] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    attempts: dict[AttemptKey, Attempt] = field(default_factory=dict)
    attempts_last: dict[str, int] = field(default_factory=dict)
    deadlines: dict[AttemptKey, int] = field(default_factory=dict)  # of open attempts
    transfers: dict[str, Transfer] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def account(self, account_id: str, *, may_be_closed: bool = False) -> Account:
        """An open account. Raises Refused(unknown_account | account_closed)."""
        account = self.accounts.get(account_id)
        if account is None:
            raise Refused(Code.UNKNOWN_ACCOUNT, f"no account {account_id!r}")
        if account.closed and not may_be_closed:
            raise Refused(Code.ACCOUNT_CLOSED, f"account {account_id} is closed")
        return account

    def payment(self, payment_id: str) -> Payment:
        """A payment that was begun. Raises Refused(unknown_payment)."""
        payment = self.payments.get(payment_id)
        if payment is None:
            raise Refused(Code.UNKNOWN_PAYMENT, f"no payment {payment_id!r}")
        return payment

    def open_account(self, account_id: str, owner: str, currency: str, kind: str) -> Account:
        """The account, opened at zero or reopened."""
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = Account(account_id, owner, currency, kind)
            self._changed(self.changes.accounts, account_id)
        elif account.closed:
            account.closed = False
            self._changed(self.changes.accounts, account_id)
        return account

    def close_account(self, account: Account) -> None:
        """It takes part no more, until it is opened again."""
        account.closed = True
        self._changed(self.changes.accounts, account.account_id)

    def _changed(self, what: set[_Name], name: _Name) -> None:
        self.changes.steps += 1
        what.add(name)

    def record(self, draft: EntryDraft) -> int:
        """Add an entry to the batch and book it. Returns its index among the batch's drafts."""
        debit, credit = self.accounts[draft.debit], self.accounts[draft.credit]
        amount = draft.amount
        self.changes.steps += 1
        if draft.kind == EntryKind.HOLD:
            debit.held += amount
        else:
            if draft.kind in _ENDS_OF_HOLDS:
                debit.held -= amount
            if draft.kind != EntryKind.VOID:
                debit.posted -= amount
                credit.posted += amount
        self._touch(debit)
        if draft.kind not in _STANDSTILLS:
            self._touch(credit)
        self.changes.drafts.append(draft)
        return len(self.changes.drafts) - 1

    def _touch(self, account: Account) -> None:
        self.changes.balances.add(account.account_id)
        if account.link in self.links:
            self.changes.moved.add(account.link)

    def refresh_links(self) -> None:
        """Bring the links whose money has moved up to date."""
        for key in self.changes.moved:
            link = self.links[key]
            volume = self.accounts[ids.link_account(*key)].available
            self.links[key] = replace(link, version=link.version + 1, liquidity_volume=volume)

    def put_link(self, link: Link) -> None:
        """Store a link whose version has grown."""
        account = self.accounts[ids.link_account(link.from_node, link.to_node)]
        self.links[link.key] = replace(link, liquidity_volume=account.available)
        self._changed(self.changes.links, link.key)

    def put_node(self, node: Node) -> None:
        """Store a node whose version has grown."""
        self.nodes[node.node_id] = node
        self._changed(self.changes.nodes, node.node_id)

    def put_payment(self, payment: Payment) -> None:
        """Store a payment."""
        self.payments[payment.order.payment_id] = payment
        self._changed(self.changes.payments, payment.order.payment_id)

    def put_attempt(self, attempt: Attempt) -> None:
        """Store an attempt."""
        key = attempt.payment_id, attempt.number
        self.attempts[key] = attempt
        last = self.attempts_last.get(attempt.payment_id, 0)
        self.attempts_last[attempt.payment_id] = max(last, attempt.number)
        if attempt.state is AttemptState.OPEN:
            self.deadlines[key] = attempt.deadline_ms
        else:
            self.deadlines.pop(key, None)
        self._changed(self.changes.attempts, key)

    def attempts_of(self, payment_id: str) -> tuple[Attempt, ...]:
        """All attempts of a payment, in order."""
        last = self.attempts_last.get(payment_id, 0)
        numbered = ((payment_id, number) for number in range(1, last + 1))
        return tuple(self.attempts[key] for key in numbered if key in self.attempts)

    def forget_payment(self, payment_id: str) -> None:
        """Drop a payment from the copy; the database keeps it. Not while one of its attempts is open."""
        for number in range(1, self.attempts_last.pop(payment_id, 0) + 1):
            self.attempts.pop((payment_id, number), None)
        self.payments.pop(payment_id, None)


def check_amount(amount: int) -> None:
    """Raise Refused unless money can move by this amount."""
    if amount <= 0:
        raise Refused(Code.INVALID_AMOUNT, "an amount must be greater than zero")
    if amount > MINOR_UNITS_MAX:
        raise Refused(Code.AMOUNT_TOO_LARGE, "an amount has at most 38 digits")


def check_room(credit: Account, amount: int) -> None:
    """Raise Refused when a balance would outgrow its column."""
    if credit.posted + amount > MINOR_UNITS_MAX:
        raise Refused(Code.AMOUNT_TOO_LARGE, f"{credit.account_id} cannot hold more than 38 digits")


def check_debt(external: Account, amount: int) -> None:
    """Raise Refused when an external account, which may be negative, would outgrow its column downwards."""
    if external.posted - amount < -MINOR_UNITS_MAX:
        raise Refused(
            Code.AMOUNT_TOO_LARGE, f"{external.account_id} cannot owe more than 38 digits"
        )
