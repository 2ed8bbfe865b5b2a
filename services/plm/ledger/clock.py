"""The writer's time: the wall's where it goes forward, a stopwatch's where it does not."""

import time
from collections.abc import Callable


def wall_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Milliseconds since some moment; nobody sets this clock."""
    return time.monotonic_ns() // 1_000_000


class Clock:
    """Unix milliseconds that never go back and never stand still: an attempt expires when its time is over.

    A wall clock that was set back is made up for by what has passed since it was last believed.
    """

    def __init__(
        self, wall: Callable[[], int] = wall_ms, steady: Callable[[], int] = steady_ms
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._steady_ms = steady()
        self._now_ms = wall()

    def now_ms(self) -> int:
        """The time now."""
        before_ms, self._steady_ms = self._steady_ms, self._steady()
        self._now_ms = max(self._wall(), self._now_ms + self._steady_ms - before_ms)
        return self._now_ms
