"""The ledger as one payment asks it: again and again until it answers, and no refusal of it that may be untrue."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.orders import AttemptOrder, CloseOrder, PaymentOrder, RefuseOrder
from plm.domain.payments import Attempt, Payment

RETRY_AFTER_MS = 1_000
PAUSE_S = 0.05
PAUSE_S_MAX = 0.5
# Of a question: the gateway itself may not ask it, and that is no answer to whoever wants to pay.
_NOT_LET_IN = frozenset({Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.NOT_OWNER})

_Answer = TypeVar("_Answer")


class Ledger(Protocol):
    """What the gateway asks of the ledger; every call may be repeated."""

    async def begin_payment(self, order: PaymentOrder) -> Payment: ...
    async def begin_attempt(self, order: AttemptOrder) -> Attempt: ...
    async def close_attempt(self, order: CloseOrder) -> Attempt: ...
    async def refuse_payment(self, order: RefuseOrder) -> Payment: ...
    async def get_payment(self, payment_id: str) -> Payment: ...


@dataclass(frozen=True)
class Insistence:
    """Asks for as long as a payment has time. Raises Unavailable when that is over: nobody knows the effect then."""

    ledger: Ledger
    left_ms: Callable[[], int]

    async def begin_payment(self, order: PaymentOrder) -> Payment:
        """Raises Refused and Conflict: before anything was begun they are the truth."""
        return await self._asked(lambda: self.ledger.begin_payment(order))

    async def begin_attempt(self, order: AttemptOrder) -> Attempt:
        """Raises Refused and Conflict, which say that this attempt was not begun, and nothing of the payment."""
        return await self._asked(lambda: self.ledger.begin_attempt(order))

    async def close(self, order: CloseOrder) -> Attempt:
        """Posted or closed."""
        return await self.know(lambda: self.ledger.close_attempt(order))

    async def refuse(self, order: RefuseOrder) -> None:
        """Keep a refusal as the payment's answer, unless another gateway has an attempt open."""
        try:
            await self._insist(lambda: self.ledger.refuse_payment(order))
        except PlmError as error:
            if error.code is not Code.ATTEMPT_OPEN:
                raise unsaid(error) from error

    async def read(self, payment_id: str) -> Payment:
        """The payment as it stands."""
        return await self.know(lambda: self.ledger.get_payment(payment_id))

    async def _asked(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        try:
            return await self._insist(ask)
        except PlmError as error:
            if error.code in _NOT_LET_IN:
                raise unsaid(error) from error
            raise

    async def know(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """What was begun has an end: whoever is not told it must not say that there is none."""
        try:
            return await self._insist(ask)
        except PlmError as error:
            raise unsaid(error) from error

    async def _insist(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Ask until there is an answer or no time: the ledger may be changing leaders."""
        pause_s = PAUSE_S
        while True:
            try:
                return await ask()
            except Unavailable as error:
                if self.left_ms() < 1000 * pause_s:
                    raise Unavailable(
                        error.code,
                        error.detail,
                        effect_unknown=True,
                        retry_after_ms=RETRY_AFTER_MS,
                    ) from error
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)


def unsaid(error: PlmError) -> Unavailable:
    """The ledger did not say what became of the payment: it may have been made."""
    if isinstance(error, Unavailable):
        return error
    return Unavailable(
        Code.INTERNAL,
        f"the ledger does not tell how the payment stands: {error.detail}",
        effect_unknown=True,
        retry_after_ms=RETRY_AFTER_MS,
    )
