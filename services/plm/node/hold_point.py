"""A place to stop, for demos and tests: armed once, it holds one payment after its hold and before its next call."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

HOLD_MS_MAX = 10_000
# Whoever arms it pays at once. What was left armed would stop a payment that has nothing to do with it.
ARMED_S_MAX = 15.0


class HoldPointState(StrEnum):
    """idle → armed → reached → idle, or from armed back to idle when nobody came."""

    IDLE = "idle"
    ARMED = "armed"
    REACHED = "reached"


@dataclass(frozen=True, slots=True)
class Held:
    """Which payment stands at the hold point."""

    payment_id: str = ""
    attempt: int = 0


class HoldPoint:
    """One per node, used from its event loop."""

    def __init__(self) -> None:
        self.state = HoldPointState.IDLE
        self.held = Held()
        self._hold_s = 0.0
        self._reached = asyncio.Event()
        self._expiry: asyncio.TimerHandle | None = None

    def arm(self, hold_ms_max: int) -> None:
        """The next payment that passes stops here, for at most this long; forgotten after ARMED_S_MAX."""
        self._hold_s = min(max(hold_ms_max, 1), HOLD_MS_MAX) / 1000
        self.held = Held()
        self.state = HoldPointState.ARMED
        self._reached.clear()
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(ARMED_S_MAX, self._expire)

    async def pass_by(self, payment_id: str, attempt: int) -> None:
        """Return at once unless armed."""
        if self.state is not HoldPointState.ARMED:
            return
        held = Held(payment_id, attempt)
        self.state, self.held = HoldPointState.REACHED, held
        self._reached.set()
        try:
            await asyncio.sleep(self._hold_s)
        finally:
            if self.held is held:  # else it was armed again meanwhile, for another
                self.state = HoldPointState.IDLE

    def _expire(self) -> None:
        if self.state is HoldPointState.ARMED:
            self.state = HoldPointState.IDLE

    async def wait_reached(self, wait_ms: int) -> None:
        """Return when a payment stands here, or after the wait."""
        try:
            async with asyncio.timeout(min(max(wait_ms, 0), HOLD_MS_MAX) / 1000):
                await self._reached.wait()
        except TimeoutError:
            return
