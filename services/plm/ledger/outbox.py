"""Carries the outbox to JetStream: at least once, in order, and never in the way of money."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from plm.domain.errors import Unavailable
from plm.ledger.writer import Writer
from plm.stores.nats import Bus
from plm.stores.postgres import LOST, Connection, Pool

log = structlog.get_logger(__name__)

PUBLISHED = Counter(
    "plm_ledger_outbox_published_total", "Messages of the outbox that the stream has."
)
WAITING = Gauge("plm_ledger_outbox_waiting", "Messages seen in the outbox at the last look.")

_BATCH_MAX = 512
_LOOK_AGAIN_S = 1.0
_IN_FLIGHT_MAX = 64


class OutboxPublisher:
    """Runs beside the writer; sends only while this process leads, so that messages keep their order."""

    def __init__(self, pool: Pool, bus: Bus, writer: Writer) -> None:
        self._pool = pool
        self._bus = bus
        self._writer = writer
        self._streams_exist = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait()
            if not self._writer.leads:
                continue
            try:
                while await self._send_some():
                    pass
            # Whatever either side says, the rows stay: a full disk refuses the delete as an outage refuses the send.
            except (Unavailable, asyncpg.PostgresError, *LOST) as error:
                log.warning("Kept the outbox for later", reason=repr(error))
                self._streams_exist = False  # a server that comes back may come back empty
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await self._writer.committed.wait()
        except TimeoutError:
            return
        self._writer.committed.clear()

    async def _send_some(self) -> bool:
        """Send one batch. Whether there may be more."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, subject, payload FROM outbox ORDER BY id LIMIT $1", _BATCH_MAX
            )
            WAITING.set(len(rows))
            if not rows:
                return False
            if not self._streams_exist:
                await self._bus.ensure_streams()
                self._streams_exist = True
            # The newest state of a subject says all that its older ones said. So does the newest of several anchors:
            # its hash follows from every entry before it.
            newest = {row["subject"]: row for row in rows}
            await self._publish(sorted(newest.values(), key=lambda row: int(row["id"])))
            await _delete(connection, [row["id"] for row in rows])
            PUBLISHED.inc(len(newest))
            return len(rows) == _BATCH_MAX

    async def _publish(self, rows: list[Mapping[str, Any]]) -> None:
        # One window after another: acks wait for a file sync, and a window shares it.
        for start in range(0, len(rows), _IN_FLIGHT_MAX):
            window = rows[start : start + _IN_FLIGHT_MAX]
            # Not a task group: what it raises is a group of errors, which nobody up here would know for an outage.
            outcomes = await asyncio.gather(
                *(
                    self._bus.publish(row["subject"], row["payload"], f"outbox-{row['id']}")
                    for row in window
                ),
                return_exceptions=True,
            )
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome


async def _delete(connection: Connection, ids: list[int]) -> None:
    await connection.execute("DELETE FROM outbox WHERE id = ANY($1)", ids)
