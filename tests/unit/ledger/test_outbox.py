"""The outbox while the bus is away: nothing is dropped, the publisher lives on, and order is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
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
    is_full: bool = False  # the disk: nothing can be written, not even that rows are gone

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["PaperOutbox"]:
        yield self

    async def fetch(self, _sql: str, limit: int) -> list[dict[str, Any]]:
        return self.rows[:limit]

    async def execute(self, _sql: str, ids: list[int]) -> None:
        if self.is_full:
            raise asyncpg.DiskFullError("could not extend file")
        self.rows = [row for row in self.rows if row["id"] not in ids]


@dataclass
class PaperBus:
    """A stream that takes each message id once; down, it takes some of a window and fails the rest."""

    is_up: bool = True
    has_streams: bool = False
    stream: list[str] = field(default_factory=list)

    async def ensure_streams(self) -> None:
        """Make them anew."""
        self.has_streams = True

    async def publish(self, subject: str, payload: bytes, message_id: str) -> None:
        if not self.has_streams or (not self.is_up and subject != "s0"):
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


async def publish_onto_a_full_disk(outbox: PaperOutbox) -> bool:
    """Whether the publisher is still at work after ten seconds of a full disk and ten with room."""
    publisher = OutboxPublisher(outbox, cast(Bus, PaperBus()), cast(Writer, Leader()))
    work = asyncio.create_task(publisher.run())
    outbox.is_full = True
    await asyncio.sleep(10)
    outbox.is_full = False
    await asyncio.sleep(10)
    survived = not work.done()
    work.cancel()
    return survived


def test_a_database_that_refuses_the_delete_does_not_end_the_ledger() -> None:
    """A full disk is no lost connection: the driver says it with another error, and it too passes."""
    outbox = PaperOutbox([{"id": n, "subject": f"s{n}", "payload": b"x"} for n in range(3)])
    assert virtual_time.run(publish_onto_a_full_disk(outbox))
    assert outbox.rows == []


async def publish_to_a_bus_that_forgot(bus: PaperBus, outbox: PaperOutbox) -> None:
    """The publisher has made the streams; then the server loses its disk, and there is more to say."""
    work = asyncio.create_task(
        OutboxPublisher(outbox, cast(Bus, bus), cast(Writer, Leader())).run()
    )
    await asyncio.sleep(10)
    bus.has_streams = False
    outbox.rows = [{"id": 2, "subject": "s2", "payload": b"x"}]
    await asyncio.sleep(10)
    work.cancel()


def test_streams_that_are_gone_are_made_again() -> None:
    bus, outbox = PaperBus(), PaperOutbox([{"id": 1, "subject": "s1", "payload": b"x"}])
    virtual_time.run(publish_to_a_bus_that_forgot(bus, outbox))
    assert bus.stream == ["outbox-1", "outbox-2"]
