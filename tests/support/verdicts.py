"""What the checker reads of the ledger and what it says: the words of a judgement, without the judging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What a run proved."""

    VALID = "valid"
    VIOLATED = "violated"
    INVALID = "invalid"


class Promise(StrEnum):
    """What must hold."""

    NOT_LOST = "an acknowledged payment is in the ledger"
    ONCE = "a payment is posted at most once"
    NO_RESURRECTION = "a refused payment is not in the ledger"
    ANSWER_IS_LEDGER = "a receipt says what the ledger says"
    SAME_ANSWER = "the same key and body bring the same answer"
    KEY_IS_BOUND = "the same key with another body is refused"
    NOT_STRANDED = "every hold is posted or voided"
    SUMS = "money is neither made nor lost"
    KNOWN = "the ledger has no payment that nobody asked for"
    CHAIN = "the chain verifies"


@dataclass(frozen=True)
class PostedHop:
    """One posted transfer of a payment, amounts in minor units."""

    payment: str
    attempt: int
    hop: int
    from_node: str
    to_node: str
    amount: int
    currency: str


@dataclass(frozen=True)
class Account:
    """An account's balance in minor units."""

    currency: str
    posted: int


@dataclass(frozen=True)
class FinalRead:
    """The ledger after the dust has settled, read from its rows."""

    posted: Sequence[PostedHop]
    pending_holds: Sequence[str]
    accounts: Mapping[str, Account]
    chain_ok: bool
    # Balances when the run began, and payments that were posted before it.
    accounts_before: Mapping[str, Account] = field(default_factory=dict)
    known_before: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Bite:
    """What must have happened for the run to mean anything."""

    faults_min: int = 0
    ok_min: int = 1
    rerouted_min: int = 0
    # Of whatever bit, by the word that the nemesis has for it.
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Violation:
    """One broken promise."""

    promise: Promise
    subject: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """The judgement, with the counts behind it."""

    outcome: Outcome
    violations: tuple[Violation, ...]
    doubts: tuple[str, ...]
    counts: Mapping[str, int]

    def __str__(self) -> str:
        lines = [f"{self.outcome}: " + ", ".join(f"{n} {name}" for name, n in self.counts.items())]
        lines += [f"  {each.promise}: {each.subject}: {each.detail}" for each in self.violations]
        lines += [f"  proves nothing: {doubt}" for doubt in self.doubts]
        return "\n".join(lines)
