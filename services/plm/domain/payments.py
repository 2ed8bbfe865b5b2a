"""Payments, their attempts and holds, as the ledger keeps them."""

from dataclasses import dataclass
from enum import StrEnum

from plm.domain.orders import Hop, PaymentOrder


class PaymentState(StrEnum):
    """A payment ends settled or refused, once."""

    OPEN = "open"
    SETTLED = "settled"
    REFUSED = "refused"


class AttemptState(StrEnum):
    """An attempt ends posted or closed, never both."""

    OPEN = "open"
    POSTED = "posted"
    CLOSED = "closed"


class HoldState(StrEnum):
    """A hold ends posted or voided, never both."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one hop."""

    hold_id: str
    hop: int
    state: HoldState
    entry_seq: int = 0  # chain entry of the latest change
    entry_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try over one route."""

    payment_id: str
    number: int  # from 1
    state: AttemptState
    hops: tuple[Hop, ...]
    opened_at_ms: int
    deadline_ms: int
    ended_at_ms: int = 0
    close_reason: str = ""
    failed_node: str = ""
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class Payment:
    """An order and what became of it."""

    order: PaymentOrder
    state: PaymentState
    created_at_ms: int
    ended_at_ms: int = 0
    refusal_code: str = ""
    refusal_detail: str = ""
    attempts: tuple[Attempt, ...] = ()
