"""One payment from its order to its receipt: attempt after attempt, each decided at the ledger before the next begins.

The gateway keeps nothing: killed at any line, the payment is where the ledger says it is, and the same request,
sent again to any gateway, goes on from there.
"""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge, Histogram

from plm.domain import relay, rerouting
from plm.domain.errors import Code, Conflict, PlmError, Refused, Unavailable
from plm.domain.orders import AttemptOrder, PaymentOrder, RefuseOrder
from plm.domain.payments import Attempt, AttemptState, Payment, PaymentState
from plm.domain.relay import ForwardTask, Outcome
from plm.domain.routes import Ban, Quoter, Route
from plm.gateway.insisting import (
    PAUSE_S,
    PAUSE_S_MAX,
    RETRY_AFTER_MS,
    Insistence,
    Ledger,
    unsaid,
)

log = structlog.get_logger(__name__)

PAYMENTS = Counter("plm_gateway_payments_total", "Payments answered, by outcome.", ("outcome",))
ATTEMPTS = Counter("plm_gateway_attempts_total", "Attempts ended, by outcome.", ("outcome",))
IN_FLIGHT = Gauge("plm_gateway_payments_in_flight", "Payments being worked on.")
SECONDS = Histogram("plm_gateway_payment_seconds", "Time from order to receipt.")

PAYMENT_TIMEOUT_MS = 15_000
ATTEMPT_TIMEOUT_MS = 5_000
# Less is no time for a route: the ledger would close the attempt under it.
_ATTEMPT_MS_MIN = 250
# Between attempts when the last one taught nothing. A payment has few attempts: they must outlast an outage, whether
# this request meets it or the next ones; and who invents something new to learn each time wears them out no faster.
_VAIN_PAUSE_S = 0.1
_VAIN_PAUSE_S_MAX = 4.0
_PROMPT_ATTEMPTS_MAX = 8
_CODES = frozenset(Code)


class Peers(Protocol):
    """The first node of a route."""

    async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome: ...


class Routes(Protocol):
    """The mesh as it is now."""

    @property
    def quoter(self) -> Quoter: ...

    async def refresh(self) -> int: ...


@dataclass
class _Trip:
    """What this gateway has learned while working on one payment."""

    order: PaymentOrder
    ledger: Insistence
    begun: set[int] = field(default_factory=set)  # attempts that are this gateway's own
    ban: Ban = field(default_factory=Ban)
    ways: frozenset[tuple[str, str]] = frozenset()  # by which nodes were asked in vain
    ready_for: int = 1  # the attempt that may begin without a pause
    # How sender or receiver failed: no route leads around them.
    lost_end: Outcome | None = None
    come_again_ms: int = RETRY_AFTER_MS

    @property
    def left_ms(self) -> int:
        return self.ledger.left_ms()

    async def read(self) -> Payment:
        return await self.ledger.read(self.order.payment_id)


class Payments:
    """Pays. The same payment asked for twice at once is worked on once, and both get its answer."""

    def __init__(self, ledger: Ledger, peers: Peers, routes: Routes, in_flight_max: int) -> None:
        self._ledger = ledger
        self._peers = peers
        self._routes = routes
        self._in_flight_max = in_flight_max
        self._running: dict[PaymentOrder, asyncio.Task[Payment]] = {}

    async def pay(self, order: PaymentOrder) -> Payment:
        """The payment, settled or refused. Raises PlmError; Unavailable means: ask again with the same key."""
        running = self._running.get(order)
        if running is None:
            if len(self._running) >= self._in_flight_max:
                raise Unavailable(
                    Code.OVERLOADED, "too many payments at once", retry_after_ms=RETRY_AFTER_MS
                )
            running = asyncio.create_task(self._pay(order))
            self._running[order] = running
            running.add_done_callback(lambda task: self._done(order, task))
        # A client that goes away does not stop its payment half-way.
        return await asyncio.shield(running)

    def _done(self, order: PaymentOrder, task: asyncio.Task[Payment]) -> None:
        del self._running[order]
        if not task.cancelled():
            task.exception()  # whoever asked has it; when all have gone, it is no news

    async def _pay(self, order: PaymentOrder) -> Payment:
        gives_up_at = time.monotonic() + PAYMENT_TIMEOUT_MS / 1000
        asking = Insistence(self._ledger, lambda: int(1000 * (gives_up_at - time.monotonic())))
        trip = _Trip(order, asking)
        outcome = "failed"
        with IN_FLIGHT.track_inprogress(), SECONDS.time():
            try:
                payment = await trip.ledger.begin_payment(order)
                while payment.state is PaymentState.OPEN:
                    payment = await self._go_on(trip, payment)
                outcome = str(payment.state)
            finally:
                PAYMENTS.labels(outcome).inc()
        return payment

    async def _go_on(self, trip: _Trip, payment: Payment) -> Payment:
        """One attempt more, after every earlier one is decided."""
        for attempt in payment.attempts:
            if attempt.state is AttemptState.OPEN:
                return await self._end(trip, attempt)
        number = len(payment.attempts) + 1
        await self._pause(trip, number)
        route = await self._choose(trip)
        if trip.left_ms < _ATTEMPT_MS_MIN:
            raise Unavailable(
                Code.DEADLINE_EXCEEDED, "no attempt came through", retry_after_ms=RETRY_AFTER_MS
            )
        if not await self._begin(trip, number, route):
            return await trip.read()
        outcome = await self._forward(trip, number, route)
        if not outcome.posted and not outcome.closed:
            attempt = await self._close(trip, number, outcome)
            outcome = Outcome(posted=True) if attempt.state is AttemptState.POSTED else outcome
        ATTEMPTS.labels(_label(outcome)).inc()
        if not outcome.posted:
            self._learn(trip, number, route, outcome)
        return await trip.read()

    async def _end(self, trip: _Trip, attempt: Attempt) -> Payment:
        """The payment once this attempt is decided. Another gateway's has its time: it may be paying just now.

        When that is over, whoever began it is dead or has lost its answer, and it is closed for it. Gateways that began
        it at the same moment, by the same route, share it: each may close it, and those that find it closed go on.
        """
        # By our clock and from now on: by its own the ledger has closed it before.
        lasts_s = (attempt.deadline_ms - attempt.opened_at_ms) / 1000
        over_at, pause_s = time.monotonic() + lasts_s, PAUSE_S
        while attempt.number not in trip.begun and time.monotonic() < over_at:
            if trip.left_ms < 1000 * pause_s:
                raise Conflict(Code.PAYMENT_IN_PROGRESS, "another gateway works on this payment")
            await asyncio.sleep(pause_s)
            payment = await trip.read()
            if payment.attempts[attempt.number - 1].state is not AttemptState.OPEN:
                return payment
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
        await self._close(trip, attempt.number, Outcome(error_detail="taken over"))
        return await trip.read()

    @staticmethod
    async def _pause(trip: _Trip, number: int) -> None:
        if number <= trip.ready_for:
            return
        pause_s = min(_VAIN_PAUSE_S * 2 ** (number - 2), _VAIN_PAUSE_S_MAX)
        await asyncio.sleep(min(pause_s, max(trip.left_ms, 0) / 1000))
        trip.ready_for = number

    @staticmethod
    def _learn(trip: _Trip, number: int, route: Route, failure: Outcome) -> None:
        """What a closed attempt means for the payment: another way, or the same one later. Never its end."""
        log.info(
            "Closed an attempt",
            payment=trip.order.payment_id,
            attempt=number,
            route="-".join(route.nodes),
            code=failure.error_code,
            failed_node=failure.failed_node,
            reason=failure.error_detail,
        )
        if failure.failed_node in (trip.order.from_node, trip.order.to_node):
            trip.lost_end = failure
        known = trip.ban, trip.ways
        trip.ban = rerouting.learn(trip.ban, failure, route.hops)
        trip.ways |= rerouting.way_to_failed(failure, route.hops)
        if (trip.ban, trip.ways) != known and number < _PROMPT_ATTEMPTS_MAX:
            trip.ready_for = number + 1

    async def _choose(self, trip: _Trip) -> Route:
        order, lost = trip.order, trip.lost_end
        found = await self._quote(trip, trip.ban)
        if not found and trip.ways:
            found = await self._quote(trip, rerouting.doubting(trip.ban, trip.ways))
        if found:
            return found[0]
        if lost is not None:
            is_busy = lost.error_code == Code.OVERLOADED
            reason = lost.error_detail.removeprefix(f"{lost.failed_node}: ")
            raise Unavailable(
                Code.OVERLOADED if is_busy else Code.NODE_UNREACHABLE,
                f"{lost.failed_node} takes no part now: {reason}",
                retry_after_ms=trip.come_again_ms,
            )
        raise Unavailable(
            Code.NO_ROUTE,
            f"no live route from {order.from_node} to {order.to_node} has room for this amount now",
            retry_after_ms=RETRY_AFTER_MS,
        )

    async def _quote(self, trip: _Trip, ban: Ban) -> list[Route]:
        order = trip.order
        for is_last_look in (False, True):
            try:
                return self._routes.quoter.routes(
                    order.from_node, order.to_node, order.amount, k=1, ban=ban
                )
            except Refused:
                # The ledger knew both ends: the mesh in memory is behind it, or one was disabled since.
                if not is_last_look:
                    await trip.ledger.know(self._routes.refresh)
        return []

    async def _begin(self, trip: _Trip, number: int, route: Route) -> bool:
        """Whether the attempt is open. If not, the world has moved: read again."""
        timeout_ms = min(ATTEMPT_TIMEOUT_MS, trip.left_ms)
        order = AttemptOrder(trip.order.payment_id, number, route.hops, timeout_ms)
        try:
            await trip.ledger.begin_attempt(order)
        except Conflict as error:
            if error.code is Code.POLICY_CHANGED:
                await self._look_again(trip, route, error.detail)
            await asyncio.sleep(PAUSE_S)
            return False
        except Refused as error:
            if not rerouting.is_definite(error.code):
                raise unsaid(error) from error
            await trip.ledger.refuse(RefuseOrder(order.payment_id, error.code, error.detail))
            return False
        trip.begun.add(number)
        return True

    async def _look_again(self, trip: _Trip, route: Route, refusal: str) -> None:
        """The ledger does not take the route as quoted. What would be quoted the same again is left out."""
        await trip.ledger.know(self._routes.refresh)
        edges = self._routes.quoter.graph.edges
        policies = {edge.link.key: edge.link.policy for edge in edges}
        quoted = {(hop.from_node, hop.to_node): hop.policy for hop in route.hops}
        if all(policies.get(key) == policy for key, policy in quoted.items()):
            named = relay.named_links(route.hops, refusal) or quoted
            trip.ban = replace(trip.ban, links=trip.ban.links | set(named))

    async def _forward(self, trip: _Trip, number: int, route: Route) -> Outcome:
        budget_ms = min(ATTEMPT_TIMEOUT_MS, trip.left_ms)
        order = trip.order
        task = ForwardTask(order.payment_id, number, order.currency, route.hops, 0, budget_ms)
        try:
            return await self._peers.forward(route.nodes[0], task, budget_ms / 1000)
        except PlmError as error:
            if isinstance(error, Unavailable) and error.retry_after_ms:
                trip.come_again_ms = error.retry_after_ms
            return rerouting.unreachable(route, error.code, error.detail)

    @staticmethod
    async def _close(trip: _Trip, number: int, outcome: Outcome) -> Attempt:
        return await trip.ledger.close(relay.give_up(trip.order.payment_id, number, outcome))


def _label(outcome: Outcome) -> str:
    """Of a metric: a node may say what it likes, and each new word would be a series for ever."""
    if outcome.posted:
        return "posted"
    return outcome.error_code if outcome.error_code in _CODES else "other"
