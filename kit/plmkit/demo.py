"""The demo: a payment is under way over B, B is killed while it holds the money, and it settles once, over C.

What is claimed is checked here, step by step; ports for the gateway and for the kill make it run without a cluster.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from plmkit.console import KitError
from plmkit.receipts import Json, Order, Payment, Verdict, arrow

ORDER = Order("a", "d", "10000.00", "USD")
EXPECTED_ROUTE = ("a", "b", "d")

# The node lets go by itself after this, should the kill never come.
_HOLD_MS_MAX = 5_000
_POLL_MS = 2_000
# Less than the time after which a node forgets that it was armed: 15 s.
_REACHED_WITHIN_S = 10.0
# The API has no disarming: the shortest hold takes an armed one's place.
_HOLD_MS_MIN = 1
_DISARMED_WITHIN_S = 2.0


class Gateway(Protocol):
    """What the demo asks of the gateway."""

    async def routes(self, order: Order, *, k: int = 3) -> Json:
        """Routes, best first."""
        ...

    async def arm_hold_point(self, node: str, *, hold_ms_max: int) -> Json:
        """Stop the node once, after its next hold."""
        ...

    async def hold_point(self, node: str, *, wait_ms: int) -> Json:
        """State of the hold point."""
        ...

    async def pay(self, order: Order, key: str) -> Payment:
        """Pay."""
        ...

    async def account(self, account_id: str, *, after_seq: int = 0, limit: int = 100) -> Json:
        """Balance and entries."""
        ...

    async def verify(self) -> Verdict:
        """Recompute the chain."""
        ...


class Victim(Protocol):
    """One node that can be killed and comes back."""

    @property
    def how(self) -> str:
        """How it is killed, for the report."""
        ...

    async def kill(self) -> None:
        """End the process at once; returns when the signal was sent."""
        ...

    async def wait_until_back(self) -> None:
        """Returns when another process of the same node is Ready. Raises KitError when that takes too long."""
        ...


@dataclass(frozen=True)
class Times:
    """Milliseconds since the payment was sent, on this machine's monotonic clock."""

    reached: float
    killed: float
    caught: float
    settled: float
    ready_again: float


@dataclass(frozen=True)
class Report:
    """What happened in one demo, and whatever of it was not as claimed."""

    victim: str
    how: str
    cheapest: tuple[str, ...]
    payment: Payment
    times: Times
    entries: tuple[Json, ...]
    verdict: Verdict
    faults: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For -o json."""
        return {
            "victim": self.victim,
            "how": self.how,
            "cheapestRoute": list(self.cheapest),
            "payment": dict(self.payment.raw),
            "timesMs": {name: round(value, 1) for name, value in asdict(self.times).items()},
            "entries": [dict(entry) for entry in self.entries],
            "verdict": dict(self.verdict.raw),
            "faults": list(self.faults),
        }


async def run_demo(
    gateway: Gateway,
    victim_of: Callable[[str], Victim],
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """One demo from beginning to end. Raises KitError when the stage cannot be set; `faults` has the rest."""
    routes = _routes(await gateway.routes(ORDER))
    cheapest = routes[0]
    if cheapest != EXPECTED_ROUTE:
        say(
            f"{arrow(cheapest)} is cheaper than {arrow(EXPECTED_ROUTE)} now: volumes have shifted. "
            f"{arrow(cheapest[1:2])} is killed instead"
        )
    name = cheapest[1]
    victim = victim_of(name)
    payment, marks = await _pay_and_kill(gateway, name, victim, clock)
    verdict = await gateway.verify()
    entries = await _entries_of(gateway, payment)
    await victim.wait_until_back()
    times = Times(
        reached=marks["reached"],
        killed=marks["killed"],
        caught=_caught_ms(payment, marks["settled"]),
        settled=marks["settled"],
        ready_again=1000 * (clock() - marks["start_s"]),
    )
    faults = tuple(faults_of(payment, cheapest, name, verdict, marks))
    return Report(name, victim.how, cheapest, payment, times, entries, verdict, faults)


def _routes(answer: Json) -> list[tuple[str, ...]]:
    found = [tuple(route["nodes"]) for route in answer["routes"]]
    if not found or len(found[0]) < 3:  # noqa: PLR2004 - sender, somebody to kill, receiver
        raise KitError(
            f"the demo needs a route from {arrow(ORDER.from_node)} to {arrow(ORDER.to_node)} over another node, "
            f"and there is {'only ' + arrow(found[0]) if found else 'none'}",
            "plm status, or raise liquidityVolume of the links: kubectl edit meshnode a -n plm",
        )
    if len(found) == 1:
        raise KitError(
            f"there is no second route beside {arrow(found[0])}: a kill would strand the payment",
            "plm status, or raise liquidityVolume of the links: kubectl edit meshnode a -n plm",
        )
    return found


async def _pay_and_kill(
    gateway: Gateway, name: str, victim: Victim, clock: Callable[[], float]
) -> tuple[Payment, dict[str, float]]:
    marks: dict[str, float] = {}

    def mark(event: str) -> None:
        marks[event] = 1000 * (clock() - marks["start_s"])

    async with _armed(gateway, name, marks):
        marks["start_s"] = clock()
        paying = asyncio.create_task(gateway.pay(ORDER, f"demo-{uuid.uuid4().hex}"))
        try:
            await _wait_until_reached(gateway, name, paying)
            mark("reached")
            await victim.kill()
            mark("killed")
            payment = await paying
            mark("settled")
        finally:
            paying.cancel()
    return payment, marks


@asynccontextmanager
async def _armed(gateway: Gateway, name: str, marks: Mapping[str, float]) -> AsyncIterator[None]:
    """Whatever ends the demo, Ctrl-C too, no payment of somebody else's is to stop where ours did not come."""
    try:
        await gateway.arm_hold_point(name, hold_ms_max=_HOLD_MS_MAX)
        yield
    finally:
        if "reached" not in marks:
            # No more than an attempt: a node that cannot be told forgets by itself.
            with suppress(KitError, TimeoutError):
                async with asyncio.timeout(_DISARMED_WITHIN_S):
                    await gateway.arm_hold_point(name, hold_ms_max=_HOLD_MS_MIN)


async def _wait_until_reached(gateway: Gateway, name: str, paying: "asyncio.Task[Payment]") -> None:
    try:
        async with asyncio.timeout(_REACHED_WITHIN_S):
            while not paying.done():
                state = await gateway.hold_point(name, wait_ms=_POLL_MS)
                if state["state"] == "reached":
                    return
    except TimeoutError:
        raise KitError(
            f"the payment did not come to {arrow([name])} within {_REACHED_WITHIN_S:.0f} s, and nobody was killed",
            "plm status, then plm demo again",
        ) from None
    payment = await paying
    raise KitError(
        f"the payment never came to {arrow([name])}: it went over {arrow(payment.route)}",
        "plm demo (again)",
    )


def _caught_ms(payment: Payment, settled_ms: float) -> float:
    """When the first attempt was closed. The ledger's clock gives the distance to the end; ours gives the end."""
    closed = [attempt.ended_at_ms for attempt in payment.attempts if attempt.state == "closed"]
    return settled_ms - (payment.ended_at_ms - closed[0]) if closed else settled_ms


async def _entries_of(gateway: Gateway, payment: Payment) -> tuple[Json, ...]:
    """The chain entries of this payment, in order: those of every account its routes touch, each once."""
    accounts = {
        f"link/{sender}/{receiver}"
        for attempt in payment.attempts
        for sender, receiver in zip(attempt.route, attempt.route[1:], strict=False)
    }
    first = min(
        (hold.entry_seq for attempt in payment.attempts for hold in attempt.holds), default=1
    )
    found: dict[int, Mapping[str, Any]] = {}
    for account in sorted(accounts):
        # A hold's entry precedes its posting or voiding, which is what the receipt names: look a little further back.
        page = await gateway.account(account, after_seq=max(0, first - 64), limit=200)
        for entry in page["entries"]:
            if str(entry["ref"]).startswith(payment.payment_id):
                found[int(entry["seq"])] = entry
    return tuple(found[seq] for seq in sorted(found))


def faults_of(
    payment: Payment,
    cheapest: tuple[str, ...],
    victim: str,
    verdict: Verdict,
    marks: Mapping[str, float],
) -> list[str]:
    """Everything that is not as the demo claims; empty when all is."""
    posted = [attempt for attempt in payment.attempts if attempt.state == "posted"]
    first = payment.attempts[0] if payment.attempts else None
    claims = {
        f"the payment is {payment.state}, not settled": payment.state == "settled",
        f"{len(posted)} attempts are posted, not exactly one": len(posted) == 1,
        f"the first attempt did not go over {arrow(cheapest)}": first is not None
        and first.route == cheapest,
        "the first attempt was not closed": first is not None and first.state == "closed",
        f"the settled route contains the killed node {victim}": victim not in payment.route,
        "the payment was settled before the kill": marks["killed"] < marks["settled"],
        "a hold of a closed attempt is not voided": all(
            hold.state == "voided"
            for attempt in payment.attempts
            if attempt.state == "closed"
            for hold in attempt.holds
        ),
        "the ledger does not verify": verdict.ok,
    }
    return [fault for fault, holds in claims.items() if not holds]
