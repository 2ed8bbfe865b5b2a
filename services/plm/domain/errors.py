"""Every refusal plm can give, as a type.

PlmError
├── Refused      the caller's fault; asking again the same way gives the same answer
├── Conflict     the world moved; read again, then decide
└── Unavailable  nobody's fault; try again later. `effect_unknown` says whether it may have happened all the same

`code` is stable, appears in problem+json, in gRPC details and in `plm pay` results, and never changes its meaning.
"""

from enum import StrEnum


class Code(StrEnum):
    """Stable error codes. Adding one? Add it to docs/errors.md and to the mapping tables of gateway and transport."""

    INVALID_REQUEST = "invalid_request"
    INVALID_AMOUNT = "invalid_amount"
    AMOUNT_TOO_LARGE = "amount_too_large"
    UNKNOWN_CURRENCY = "unknown_currency"
    CURRENCY_MISMATCH = "currency_mismatch"
    UNKNOWN_NODE = "unknown_node"
    UNKNOWN_ACCOUNT = "unknown_account"
    ACCOUNT_CLOSED = "account_closed"
    UNKNOWN_PAYMENT = "unknown_payment"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    SAME_NODE = "same_node"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_OWNER = "not_owner"
    DEBUG_DISABLED = "debug_disabled"

    KEY_REUSED = "key_reused"
    POLICY_CHANGED = "policy_changed"
    ATTEMPT_CLOSED = "attempt_closed"
    ATTEMPT_POSTED = "attempt_posted"
    ATTEMPT_OPEN = "attempt_open"
    PAYMENT_ENDED = "payment_ended"
    PAYMENT_IN_PROGRESS = "payment_in_progress"
    STALE_GENERATION = "stale_generation"

    NO_ROUTE = "no_route"
    NODE_UNREACHABLE = "node_unreachable"
    OVERLOADED = "overloaded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    NOT_LEADER = "not_leader"
    INTERNAL = "internal"


class PlmError(Exception):
    """Base of all errors that may cross a process border. `detail` is for people and may change."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Refused(PlmError):
    """The request can never succeed as it stands. Nothing was changed."""


class Conflict(PlmError):
    """The request met a state that forbids it now. Nothing was changed."""


class Unavailable(PlmError):
    """Could not be done now. `effect_unknown` is true when it may have been done all the same."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        effect_unknown: bool = False,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.effect_unknown = effect_unknown
        self.retry_after_ms = retry_after_ms
