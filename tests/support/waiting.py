"""Waiting for a condition, with a limit and a sentence for when it does not come."""

import asyncio
import threading
import time
from collections.abc import Callable

_LOOK_EVERY_S = 0.1
_LOOK_AGAIN_S = 0.01


def wait_until(holds: Callable[[], bool], within_s: float, what: str) -> float:
    """Seconds until the condition held. Fails the test when it does not come in time."""
    began = time.monotonic()
    pause = threading.Event()
    while not holds():
        waited = time.monotonic() - began
        assert waited < within_s, f"not within {within_s:.0f} s: {what}"
        pause.wait(_LOOK_EVERY_S)
    return time.monotonic() - began


async def until(holds: Callable[[], bool], within_s: float, what: str) -> None:
    """Let the loop run until the condition holds. Fails the test when it does not come in time."""
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {within_s:.0f} s: {what}"
        await asyncio.sleep(_LOOK_AGAIN_S)
