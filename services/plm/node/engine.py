"""One node's part in a payment: hold, ask the next, confirm. The first node posts, or closes what failed.

Whatever dies here, the ledger's record decides: a hold is posted with its attempt, or voided when the attempt is closed
by a node, by the gateway, or by its deadline.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from prometheus_client import Gauge

from plm.domain import relay
from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.orders import CloseOrder
from plm.domain.payments import Attempt, AttemptState
from plm.domain.relay import ForwardTask, Outcome

log = structlog.get_logger(__name__)

BUSY = Gauge("plm_node_busy", "Payments in the hands of the workers.")
WAITING = Gauge("plm_node_waiting", "Payments waiting for a worker.")
_RETRY_AFTER_MS = 100


class Ledger(Protocol):
    """What a node asks of the ledger."""

    async def hold(self, payment_id: str, number: int, hop: int) -> str: ...
    async def post_attempt(
        self, payment_id: str, number: int, hold_ids: tuple[str, ...]
    ) -> Attempt: ...
    async def close_attempt(self, order: CloseOrder) -> Attempt: ...


class Peers(Protocol):
    """The next node. Raises PlmError when it does not answer."""

    async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome: ...


PassBy = Callable[[str, int], Awaitable[None]]


class Pool:
    """At most `workers_max` at work and `queue_max` waiting: beyond that a payment is turned away, not kept."""

    def __init__(self, workers_max: int, queue_max: int) -> None:
        self._workers = asyncio.Semaphore(workers_max)
        self._queue_max = queue_max
        self._waiting = 0

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A place at work. Raises Unavailable(overloaded) when the queue is full."""
        if self._workers.locked() and self._waiting >= self._queue_max:
            raise Unavailable(
                Code.OVERLOADED, "the node's queue is full", retry_after_ms=_RETRY_AFTER_MS
            )
        self._waiting += 1
        WAITING.set(self._waiting)
        try:
            await self._workers.acquire()
        finally:
            self._waiting -= 1
            WAITING.set(self._waiting)
        BUSY.inc()
        try:
            yield
        finally:
            BUSY.dec()
            self._workers.release()


class Engine:
    """Forwards payments for one node."""

    def __init__(
        self,
        node_id: str,
        ledger: Ledger,
        peers: Peers,
        pool: Pool,
        pass_by: PassBy,
    ) -> None:
        self._node_id = node_id
        self._ledger = ledger
        self._peers = peers
        self._pool = pool
        self._pass_by = pass_by

    async def forward(self, task: ForwardTask, caller: str) -> Outcome:
        """Take part in a payment. Raises Refused for a task that is none of ours, Unavailable when overloaded."""
        relay.check(task, self._node_id, caller)
        if task.is_last:
            return Outcome()
        arrived = time.monotonic()
        async with self._pool.worker():
            outcome = await self._prepare(task, arrived)
            return outcome if task.position else await self._finish(task, outcome)

    async def _prepare(self, task: ForwardTask, arrived: float) -> Outcome:
        try:
            hold_id = await self._ledger.hold(task.payment_id, task.attempt, task.position)
        except PlmError as error:
            return relay.own_failure(task, error.code, error.detail)
        await self._pass_by(task.payment_id, task.attempt)
        # The wait for a worker counts too: whoever sent this has been waiting all the while.
        elapsed_ms = int(1000 * (time.monotonic() - arrived))
        timeout_ms = task.next_timeout_ms(elapsed_ms)
        if timeout_ms <= 0:
            return relay.own_failure(task, Code.DEADLINE_EXCEEDED, "no time is left")
        following = task.hops[task.position].to_node
        passed = task.passed_on(elapsed_ms)
        try:
            behind = await self._peers.forward(following, passed, timeout_ms / 1000)
        except PlmError as error:
            return relay.next_failure(task, error.code, error.detail)
        if not behind.is_confirmed:
            return relay.passed_back(task, behind)
        if behind.hold_ids != task.holds_behind:
            return relay.next_failure(task, Code.INTERNAL, "confirmed other holds than the route's")
        return Outcome(hold_ids=(hold_id, *behind.hold_ids))

    async def _finish(self, task: ForwardTask, outcome: Outcome) -> Outcome:
        """The first node's last word: post, or close and say why."""
        if outcome.is_confirmed:
            try:
                await self._ledger.post_attempt(task.payment_id, task.attempt, outcome.hold_ids)
            except PlmError as error:
                outcome = relay.post_failure(task, error.code, error.detail)
            else:
                return Outcome(hold_ids=outcome.hold_ids, posted=True)
        return await self._close(task, outcome)

    async def _close(self, task: ForwardTask, outcome: Outcome) -> Outcome:
        order = relay.give_up(task.payment_id, task.attempt, outcome)
        try:
            attempt = await self._ledger.close_attempt(order)
        except PlmError as error:
            # The gateway closes it, or its deadline does.
            log.warning("Left an attempt open", payment=task.payment_id, reason=error.detail)
            return relay.once_closed(outcome, order, None)
        if attempt.state is AttemptState.POSTED:
            return Outcome(hold_ids=tuple(hold.hold_id for hold in attempt.holds), posted=True)
        return relay.once_closed(outcome, order, attempt)
