"""The one writer: drains its queue, decides in order, commits a batch, answers after the commit.

While one batch is committed the next is decided, on books that are ahead of the database by the first. Why that cannot
lie: batches are sent one behind the other, a batch whose forerunner failed is never sent, and an answer leaves only
after the COMMIT of its own batch has returned. When a COMMIT does not return, its callers hear "unknown", those of the
batch behind it "not done", the copy of the books is thrown away, and all is read anew.
Why it cannot fork: the advisory lock lives and dies with this connection; the epoch row is locked in every commit;
entries.prev_hash is unique.
"""

import asyncio
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import asyncpg
import structlog
from prometheus_client import Gauge, Histogram

from plm.domain.deciding import Answer, Command
from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.forms import check_form
from plm.ledger import committing
from plm.ledger.clock import Clock
from plm.ledger.sharing import batch_size
from plm.ledger.term import Batch, Term
from plm.stores.postgres import LOST, Connection, PostgresSettings, connect

log = structlog.get_logger(__name__)

LOCK_KEY = 0x706C6D  # "plm": one writer per database
_RETRY_S = 0.2
_TICK_S = 0.25
_STANDBY_S = 10.0
_HARMFUL_MAX = 100

BATCH_SECONDS = Histogram("plm_ledger_batch_seconds", "Time to decide and commit one batch.")
BATCH_COMMANDS = Histogram(
    "plm_ledger_batch_commands",
    "Commands per batch.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
HEAD_SEQ = Gauge("plm_ledger_head_seq", "Sequence of the newest entry.")
LEADING = Gauge("plm_ledger_leading", "1 while this process is the writer.")


@dataclass(slots=True)
class _Ask:
    command: Command
    answer: asyncio.Future[Answer]


class Writer:
    """Owns the chain's head. `submit` from any task; `run` once."""

    def __init__(
        self,
        postgres: PostgresSettings,
        *,
        queue_max: int = 4096,
        clock: Clock | None = None,
    ) -> None:
        self._postgres = postgres
        self._waiting: deque[_Ask] = deque()
        self._waiting_max = queue_max
        self._asked = asyncio.Event()
        self._clock = clock or Clock()
        self._flying = 0  # commands that are being committed
        self._leads = False
        # Each has cost a term once, and shall not again.
        self._harmful: deque[Command] = deque(maxlen=_HARMFUL_MAX)
        self.committed = asyncio.Event()  # set after each commit: the outbox has something to send

    @property
    def leads(self) -> bool:
        """Whether this process is the writer now."""
        return self._leads

    async def submit(self, command: Command) -> Answer:
        """Decide and commit a command. Raises PlmError; with effect_unknown when the commit's answer was lost."""
        if not self._leads:
            raise Unavailable(
                Code.NOT_LEADER, "another ledger writes, or none yet", retry_after_ms=500
            )
        check_form(command)
        if len(self._waiting) >= self._waiting_max:
            raise Unavailable(Code.OVERLOADED, "the ledger's queue is full", retry_after_ms=200)
        ask = _Ask(command, asyncio.get_running_loop().create_future())
        self._waiting.append(ask)
        if batch_size(len(self._waiting), self._flying):
            self._asked.set()
        return await ask.answer

    async def run(self) -> None:
        """Take the lock, lead until the connection is lost, and again. Ends when cancelled."""
        while True:
            try:
                await self._lead()
            except (Unavailable, committing.NotWritten, asyncpg.PostgresError, *LOST) as error:
                log.warning("Lost the lead", reason=repr(error))
            finally:
                self._step_down()
                self._fail_waiting()
            await asyncio.sleep(_RETRY_S)

    async def _lead(self) -> None:
        with ExitStack() as connections:
            connection = await connect(self._postgres)
            connections.callback(connection.terminate)
            if not await _locked(connection):
                return
            reader = await connect(self._postgres)
            connections.callback(reader.terminate)
            term = Term(connection, reader, self._clock, self._harmful)
            await term.open()
            log.info("Took the lead", epoch=term.epoch, head_seq=term.head.seq)
            self._leads = True
            LEADING.set(1)
            HEAD_SEQ.set(term.head.seq)
            await self._serve(term)

    async def _serve(self, term: Term) -> None:
        """One batch is decided while the one before it is committed. Returns never, and raises what ended the term."""
        before: asyncio.Task[None] | None = None
        flight: asyncio.Task[None] | None = None
        try:
            while True:
                before, flight = flight, await self._launch(term, flight)
                if before is not None:
                    await asyncio.wait([before])
                    before.result()
        finally:
            # Whatever is asked from here on would only fail. What was sent before has callers who shall hear of it.
            self._step_down()
            sent = [each for each in (before, flight) if each is not None]
            await asyncio.gather(*sent, return_exceptions=True)

    def _step_down(self) -> None:
        self._leads = False
        LEADING.set(0)

    async def _launch(self, term: Term, before: asyncio.Task[None] | None) -> asyncio.Task[None]:
        """Decide a batch, to be sent as soon as the one before it has landed."""
        asks = await self._gather()
        started = time.perf_counter()
        try:
            batch = await term.decide([ask.command for ask in asks])
        except BaseException as error:
            _fail(asks, effect_unknown=False)  # nothing of it was sent
            if before is not None and before.done() and isinstance(error, Exception):
                before.result()  # where that one failed, it says why the term is over
            raise
        self._flying += len(asks)
        flight = asyncio.create_task(_fly(term, batch, before))
        flight.add_done_callback(partial(self._land, asks, batch, started))
        return flight

    def _land(
        self, asks: list[_Ask], batch: Batch, started: float, flight: asyncio.Task[None]
    ) -> None:
        """Answer a batch that was committed, or was not."""
        self._flying -= len(asks)
        self._asked.set()
        error = asyncio.CancelledError() if flight.cancelled() else flight.exception()
        if error is not None:
            self._step_down()  # the term is over, and nobody shall ask it for more
            is_not_written = isinstance(error, committing.NotWritten) or batch.rows is None
            _fail(asks, effect_unknown=not is_not_written)
            return
        for ask, outcome in zip(asks, batch.outcomes, strict=True):
            _resolve(ask, outcome)
        if batch.rows is not None:
            HEAD_SEQ.set(batch.head.seq)
            self.committed.set()
        if asks:
            BATCH_COMMANDS.observe(len(asks))
            BATCH_SECONDS.observe(time.perf_counter() - started)

    async def _gather(self) -> list[_Ask]:
        """At least one command, or none after a tick: deadlines pass without anybody asking."""
        try:
            async with asyncio.timeout(_TICK_S):
                while self._leads and not batch_size(len(self._waiting), self._flying):
                    self._asked.clear()
                    await self._asked.wait()
        except TimeoutError:
            return []
        size = batch_size(len(self._waiting), self._flying)
        return [self._waiting.popleft() for _ in range(size)]

    def _fail_waiting(self) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        _fail(waiting, effect_unknown=False)


async def _locked(connection: Connection) -> bool:
    """Wait for the lock as a standby does: the other's connection may end at any time, ours may have unnoticed."""
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY, timeout=_STANDBY_S)
    except TimeoutError:
        return False
    return True


async def _fly(term: Term, batch: Batch, before: asyncio.Task[None] | None) -> None:
    """Write a batch behind the one before it. Raises NotWritten where that one was not written either."""
    if before is not None:
        try:
            await before
        except Exception as error:
            raise committing.NotWritten("the batch before it failed") from error
    try:
        await term.write(batch)
    except BaseException:
        term.give_up()
        raise


def _resolve(ask: _Ask, outcome: Answer | PlmError) -> None:
    if ask.answer.done():
        return  # the caller has gone; what it asked for is done all the same
    if isinstance(outcome, PlmError):
        ask.answer.set_exception(outcome)
    else:
        ask.answer.set_result(outcome)


def _fail(asks: list[_Ask], *, effect_unknown: bool) -> None:
    for ask in asks:
        if not ask.answer.done():
            ask.answer.set_exception(
                Unavailable(
                    Code.LEDGER_UNAVAILABLE,
                    "the ledger lost its database",
                    effect_unknown=effect_unknown,
                    retry_after_ms=500,
                )
            )
