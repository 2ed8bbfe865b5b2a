"""What the ledger answers without its writer: a mesh to route over, whatever the bus does."""

import asyncio
from typing import Any, cast

import pytest
from plm.domain.errors import Code, Unavailable
from plm.domain.mesh import Node
from plm.ledger.reading import UNKNOWN_SEQUENCE, Reader
from plm.stores.nats import Bus
from support import virtual_time


class PaperBus:
    """A bus that is up, away, or there and silent."""

    def __init__(self, answer: int | Exception | None, *, is_connected: bool = True) -> None:
        self._answer = answer
        self.is_connected = is_connected
        self.was_asked = False

    async def last_sequence(self, _stream: str) -> int:
        self.was_asked = True
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return cast(int, self._answer)


class PaperReader(Reader):
    """Reads no database."""

    async def nodes(self) -> list[Node]:
        return []


def snapshot(bus: PaperBus) -> tuple[int, int]:
    """The sequence that comes with a snapshot, and after how many milliseconds."""

    async def story() -> tuple[int, int]:
        pool: Any = None
        _, sequence = await PaperReader(pool, cast(Bus, bus)).snapshot()
        return sequence, virtual_time.now_ms()

    return virtual_time.run(story())


@pytest.mark.parametrize("sequence", [0, 7])
def test_a_snapshot_says_where_its_events_end(sequence: int) -> None:
    assert snapshot(PaperBus(sequence)) == (sequence, 0)


@pytest.mark.parametrize(
    "answer", [None, Unavailable(Code.LEDGER_UNAVAILABLE, "NATS: no such stream")]
)
def test_a_bus_that_does_not_answer_holds_no_snapshot_up(answer: Exception | None) -> None:
    """Gateways wait two seconds for one: routing must not end where events do."""
    sequence, asked_ms = snapshot(PaperBus(answer))
    assert sequence == UNKNOWN_SEQUENCE
    assert asked_ms <= 500


def test_a_bus_that_is_away_is_not_asked() -> None:
    bus = PaperBus(7, is_connected=False)
    assert snapshot(bus) == (UNKNOWN_SEQUENCE, 0)
    assert not bus.was_asked
