"""A work queue of keys: a key is never worked on twice at once, and one that is added while busy runs again."""

import asyncio
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 15.0


class WorkQueue(Generic[Key]):
    """Keys waiting for a worker, in order, each at most once. Use from one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    @property
    def depth(self) -> int:
        """Keys that wait."""
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Have a key worked on, soon, and at least once after this call."""
        if key in self._busy:
            self._again.add(key)
            return
        self._waiting[key] = None
        self._filled.set()

    def add_all(self, keys: Iterable[Key]) -> None:
        """Have all these worked on."""
        for key in keys:
            self.add(key)

    def add_after(self, key: Key, delay_s: float) -> None:
        """Have a key worked on after a while. The earliest wish counts."""
        loop = asyncio.get_running_loop()
        pending = self._timers.get(key)
        if pending is not None:
            if pending.when() <= loop.time() + delay_s:
                return
            pending.cancel()
        self._timers[key] = loop.call_later(delay_s, self._ring, key)

    def _ring(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    async def take(self) -> Key:
        """The next key; it is busy until done() or failed()."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._busy.add(key)
        return key

    def done(self, key: Key) -> None:
        """Its work succeeded."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: Key) -> float:
        """Its work failed: it comes back after a growing delay, which is returned."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s: float = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 10))
        self._release(key)
        self.add_after(key, delay_s)
        return delay_s

    def _release(self, key: Key) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
