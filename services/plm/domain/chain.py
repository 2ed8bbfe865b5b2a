"""The hash chain: canonical bytes of an entry, its hash, and a verifier that names what is wrong.

hash(n) = SHA-256(version ‖ seq ‖ prev_hash ‖ canonical(entry n))

version: 2 bytes, seq: 8 bytes, prev_hash: 32 bytes (zero for the first), all integers big-endian. canonical, version 1:
transfer_id, kind, debit, credit, amount, currency, ref, created_at_ms, epoch in this order, each as UTF-8 text
(integers in decimal) behind its length in bytes as 4 bytes. Test vectors: tests/unit/domain/test_chain.py.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

VERSION = 1
GENESIS_HASH = bytes(32)
# Lengths as 4 bytes, made once: nearly every text of an entry is short.
_SHORT_MAX = 256
_SHORT = [size.to_bytes(4, "big") for size in range(_SHORT_MAX)]


class EntryKind(StrEnum):
    """What an entry records. Adding one? Add it to Fold.apply, or verification will not balance."""

    FUND = "fund"  # external account to link, at registration
    WITHDRAW = "withdraw"  # link to external account
    TRANSFER = "transfer"  # posted at once
    HOLD = "hold"  # set aside: nothing moves
    POST = "post"  # a hold moves
    VOID = "void"  # a hold is given back


class EntryDraft(NamedTuple):
    """An entry before it has its place in the chain. Named tuples here: two are made for every transfer."""

    transfer_id: str
    kind: str
    debit: str
    credit: str
    amount: int
    currency: str
    ref: str


class Entry(NamedTuple):
    """A row of the chain."""

    seq: int
    prev_hash: bytes
    hash: bytes
    draft: EntryDraft
    created_at_ms: int
    epoch: int
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry: everything before it hangs on it."""

    seq: int = 0
    hash: bytes = GENESIS_HASH


def canonical(draft: EntryDraft, created_at_ms: int, epoch: int) -> bytes:
    """Canonical bytes of version 1."""
    parts = []
    for text in (
        draft.transfer_id,
        draft.kind,
        draft.debit,
        draft.credit,
        str(draft.amount),
        draft.currency,
        draft.ref,
        str(created_at_ms),
        str(epoch),
    ):
        data = text.encode()
        size = len(data)
        parts.append(_SHORT[size] if size < _SHORT_MAX else size.to_bytes(4, "big"))
        parts.append(data)
    return b"".join(parts)


def entry_hash(seq: int, prev_hash: bytes, body: bytes) -> bytes:
    """Hash of an entry at its place."""
    return sha256(struct.pack(">HQ", VERSION, seq) + prev_hash + body).digest()


def append(head: Head, drafts: Iterable[EntryDraft], created_at_ms: int, epoch: int) -> list[Entry]:
    """Give drafts their places behind the head, in order."""
    entries = []
    seq, previous = head.seq, head.hash
    for draft in drafts:
        seq += 1
        digest = entry_hash(seq, previous, canonical(draft, created_at_ms, epoch))
        entries.append(Entry(seq, previous, digest, draft, created_at_ms, epoch))
        previous = digest
    return entries


class FindingKind(StrEnum):
    """What can be wrong with a chain or its books."""

    ALTERED = "altered"
    GAP = "gap"
    FORK = "fork"
    TRUNCATED = "truncated"
    UNBALANCED = "unbalanced"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong, at the first row that shows it."""

    kind: FindingKind
    seq: int  # 0 where no row is to blame
    detail: str


class Verifier:
    """Reads entries in order of seq, recomputes everything, keeps the first finding of each kind."""

    def __init__(self) -> None:
        self.head = Head()
        self.count = 0
        self.findings: dict[FindingKind, Finding] = {}
        self.fold = Fold()
        self._epoch = 0

    def find(self, kind: FindingKind, seq: int, detail: str) -> None:
        """Note a finding unless one of its kind is known."""
        self.findings.setdefault(kind, Finding(kind, seq, detail))

    def feed(self, entry: Entry) -> None:
        """Check the next row against the one before it and against its own hash, then book it."""
        self.count += 1
        self._check_place(entry)
        self._check_hash(entry)
        if entry.epoch < self._epoch:
            self.find(FindingKind.MISMATCH, entry.seq, f"epoch {entry.epoch} after {self._epoch}")
        self._epoch = max(self._epoch, entry.epoch)
        self.head = Head(entry.seq, entry.hash)
        for account in self.fold.apply(entry.draft):
            self.find(
                FindingKind.MISMATCH, entry.seq, f"{account} moves in {entry.draft.currency} too"
            )

    def skip(self, place: Head, why: str) -> None:
        """Note a row that no entry can be made of, and go on behind it."""
        self.count += 1
        self.find(FindingKind.ALTERED, place.seq, why)
        self.head = place

    def _check_hash(self, entry: Entry) -> None:
        if entry.version != VERSION or entry.seq < 1:
            self.find(
                FindingKind.ALTERED,
                entry.seq,
                f"no row was ever written as {entry.seq} in version {entry.version}",
            )
            return
        body = canonical(entry.draft, entry.created_at_ms, entry.epoch)
        if entry_hash(entry.seq, entry.prev_hash, body) != entry.hash:
            self.find(FindingKind.ALTERED, entry.seq, "the row does not match its hash")

    def _check_place(self, entry: Entry) -> None:
        if entry.seq != self.head.seq + 1:
            missing = f"{self.head.seq + 1} to {entry.seq - 1}"
            kind = FindingKind.FORK if entry.seq <= self.head.seq else FindingKind.GAP
            detail = f"rows {missing} are missing" if kind is FindingKind.GAP else "seq used twice"
            self.find(kind, entry.seq, detail)
        elif entry.prev_hash != self.head.hash:
            self.find(FindingKind.FORK, entry.seq, "prev_hash is not the hash of the row before")

    def check_anchor(self, anchor: Head, hash_at_anchor: bytes | None) -> None:
        """Compare with a head that was published outside; `hash_at_anchor` is what the rows have at its seq."""
        if anchor.seq > self.head.seq:
            self.find(
                FindingKind.TRUNCATED,
                self.head.seq + 1,
                f"rows {self.head.seq + 1} to {anchor.seq} were anchored and are gone",
            )
        elif hash_at_anchor is not None and hash_at_anchor != anchor.hash:
            self.find(FindingKind.ALTERED, anchor.seq, "the row differs from its anchor")

    def check_balances(self, stored: dict[str, tuple[int, int]]) -> None:
        """Compare stored (posted, held) per account with what the entries add up to."""
        for account in sorted(stored.keys() | self.fold.currencies.keys()):
            computed = (self.fold.posted.get(account, 0), self.fold.held.get(account, 0))
            if account not in stored:
                self.find(FindingKind.MISMATCH, 0, f"{account} has entries and no balance")
            elif stored[account] != computed:
                posted, held = stored[account]
                self.find(
                    FindingKind.MISMATCH,
                    0,
                    f"{account} says posted {posted}, held {held}; its entries say {computed[0]}, {computed[1]}",
                )

    def check_currencies(self, stored: dict[str, str]) -> None:
        """Compare the currency of each account with that of its entries."""
        for account, currency in sorted(self.fold.currencies.items()):
            if stored.get(account, currency) != currency:
                detail = f"{account} is in {stored[account]}; its entries are in {currency}"
                self.find(FindingKind.MISMATCH, 0, detail)

    def check_sums(self, sums: dict[str, int]) -> None:
        """Sums of all stored balances per currency: nothing may come from nowhere."""
        for currency, total in sorted(sums.items()):
            if total != 0:
                self.find(FindingKind.UNBALANCED, 0, f"{currency} sums to {total}, not zero")


class Fold:
    """Balances as entries make them, and the currency that each account's first entry is in."""

    def __init__(self) -> None:
        self.posted: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.currencies: dict[str, str] = {}

    def apply(self, draft: EntryDraft) -> list[str]:
        """Book one entry. Returns those of its accounts that were in another currency before."""
        held, debit, amount = self.held, draft.debit, draft.amount
        if draft.kind == EntryKind.HOLD:
            held[debit] = held.get(debit, 0) + amount
        elif draft.kind in {EntryKind.POST, EntryKind.VOID}:
            held[debit] = held.get(debit, 0) - amount
        if draft.kind not in {EntryKind.HOLD, EntryKind.VOID}:
            self.posted[debit] = self.posted.get(debit, 0) - amount
            self.posted[draft.credit] = self.posted.get(draft.credit, 0) + amount
        return [
            account
            for account in (debit, draft.credit)
            if self.currencies.setdefault(account, draft.currency) != draft.currency
        ]
