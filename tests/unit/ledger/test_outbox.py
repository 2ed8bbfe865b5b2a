"""The outbox while the bus is away: nothing is dropped, the publisher lives on, and order is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from plm.domain.errors import Code, Unavailable
from plm.ledger.outbox import OutboxPublisher
from plm.ledger.writer import Writer
from plm.stores.nats import Bus
from support import virtual_time

ROWS = 100  # more than one window


@dataclass
class PaperOutbox:
    """The table, and a pool that gives a connection to it."""

    rows: list[dict[str, Any]]

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["PaperOutbox"]:
        yield self

    async def fetch(self, _sql: str, limit: int) -> list[dict[str, Any]]:
        return self.rows[:limit]

    async def execute(self, _sql: str, ids: list[int]) -> None:
        self.rows = [row for row in self.rows if row["id"] not in ids]


@dataclass
class PaperBus:
    """A stream that takes each message id once; down, it takes some of a window and fails the rest."""

    is_up: bool = True
    stream: list[str] = field(default_factory=list)

    async def ensure_streams(self) -> None:
        """They are there."""

    async def publish(self, subject: str, payload: bytes, message_id: str) -> None:
        if not self.is_up and subject != "s0":
            raise Unavailable(Code.LEDGER_UNAVAILABLE, "NATS: no answer")
        if message_id not in self.stream:
            self.stream.append(message_id)


class Leader:
    """A writer that leads."""

    leads = True

    def __init__(self) -> None:
        self.committed = asyncio.Event()


async def publish_through_an_outage(bus: PaperBus, outbox: PaperOutbox) -> bool:
    """Whether the publisher is still at work after ten seconds without a bus and ten with it."""
    publisher = OutboxPublisher(outbox, cast(Bus, bus), cast(Writer, Leader()))
    work = asyncio.create_task(publisher.run())
    bus.is_up = False
    await asyncio.sleep(10)
    assert len(outbox.rows) == ROWS, "what the stream did not take must stay"
    bus.is_up = True
    await asyncio.sleep(10)
    survived = not work.done()
    work.cancel()
    return survived


def test_an_outage_of_the_bus_in_mid_publish_does_not_end_the_ledger() -> None:
    """The publisher's end is the process's: it must take a lost stream for what it is, and send all later."""
    bus = PaperBus()
    outbox = PaperOutbox([{"id": n, "subject": f"s{n}", "payload": b"x"} for n in range(ROWS)])
    assert virtual_time.run(publish_through_an_outage(bus, outbox))
    assert outbox.rows == []
    assert bus.stream == [f"outbox-{n}" for n in range(ROWS)]
