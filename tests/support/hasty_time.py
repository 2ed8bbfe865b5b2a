"""Time for a module that gives up after a while: it stands still until what is waited for is there, and then flies."""

import time
from collections.abc import Callable

_STEP_S = 3_600.0
_PATIENCE_S = 30.0


class HastyTime:
    """Stands where a module has `time`: a limit is reached as soon as this holds, however slow the machine is."""

    # Pauses between two looks are real.
    sleep = staticmethod(time.sleep)

    def __init__(self, holds: Callable[[], object]) -> None:
        self._holds = holds
        self._now_s = 0.0
        self._give_up_at = time.monotonic() + _PATIENCE_S

    def monotonic(self) -> float:
        """An hour later at each look once it holds; also when it never does, so that nobody waits for ever."""
        if self._holds() or time.monotonic() > self._give_up_at:
            self._now_s += _STEP_S
        return self._now_s
