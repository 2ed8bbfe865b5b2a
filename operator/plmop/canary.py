"""Whether the watches are alive: the leader renews its Lease every few seconds, and every replica must see it."""

from collections.abc import Callable


class Canary:
    """Remembers when a watch last brought something. Liveness fails when that is too long ago."""

    def __init__(self, clock: Callable[[], float], silence_s_max: float) -> None:
        self._clock = clock
        self._silence_s_max = silence_s_max
        self._heard_at_s = clock()

    def heard(self) -> None:
        """A watch brought an event."""
        self._heard_at_s = self._clock()

    @property
    def age_s(self) -> float:
        """Seconds since a watch last brought an event."""
        return self._clock() - self._heard_at_s

    def problem(self) -> str:
        """Why this process is to be started anew; empty when it is alive."""
        if self.age_s <= self._silence_s_max:
            return ""
        return f"no watch event for {self.age_s:.0f} s: the stream is dead"
