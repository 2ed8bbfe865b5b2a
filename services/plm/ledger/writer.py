"""The one writer: drains its queue, decides in order, commits a batch, answers after the commit.

Why it cannot fork: the advisory lock lives and dies with this connection; the epoch row is locked in every commit;
entries.prev_hash is unique. Why it cannot lie: an answer leaves only after COMMIT has returned, and when COMMIT does
not return, every caller of the batch hears "unknown", the copy of the books is thrown away, and all is read anew.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import asyncpg
import structlog
from prometheus_client import Counter, Gauge, Histogram

from plm.domain import chain, deciding
from plm.domain.books import Books, Changes
from plm.domain.chain import Entry, Head
from plm.domain.deciding import Answer, Command
from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.forms import check_form
from plm.ledger import committing, events, rows
from plm.ledger.clock import Clock
from plm.ledger.recalling import Recall
from plm.stores.postgres import LOST, Connection, PostgresSettings, connect

log = structlog.get_logger(__name__)

BATCH_MAX = 512
LOCK_KEY = 0x706C6D  # "plm": one writer per database
_RETRY_S = 0.2
_TICK_S = 0.25
_STANDBY_S = 10.0
# How long after its last commit a writer is believed to lead, and how long it then waits for the database to say so.
_PROOF_S = 2.0
_PROOF_TIMEOUT_S = 2.0
_HARMFUL_MAX = 100

BATCH_SECONDS = Histogram("plm_ledger_batch_seconds", "Time to decide and commit one batch.")
BATCH_COMMANDS = Histogram(
    "plm_ledger_batch_commands",
    "Commands per batch.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
HEAD_SEQ = Gauge("plm_ledger_head_seq", "Sequence of the newest entry.")
LEADING = Gauge("plm_ledger_leading", "1 while this process is the writer.")
REFUSED = Counter("plm_ledger_refused_total", "Commands refused, by code.", ("code",))


@dataclass(slots=True)
class _Ask:
    command: Command
    answer: asyncio.Future[Answer]


@dataclass(slots=True)
class _Term:
    """One time of leadership: its connection, epoch, and copy of the books."""

    connection: Connection
    epoch: int
    head: Head
    books: Books
    recall: Recall = field(default_factory=Recall)
    proven_at: float = field(default_factory=time.monotonic)


class HalfDecided(committing.NotWritten):
    """A decision failed after it had begun to change the books: they must never be committed."""


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
        self._now_ms = 0
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
                self._leads = False
                LEADING.set(0)
                self._fail_waiting()
            await asyncio.sleep(_RETRY_S)

    async def _lead(self) -> None:
        connection = await connect(self._postgres)
        try:
            if not await _locked(connection):
                return
            epoch = await connection.fetchval("UPDATE writer SET epoch = epoch + 1 RETURNING epoch")
            head, books = await rows.load_head(connection), await rows.load_books(connection)
            deciding.bound_deadlines(books, self._clock.now_ms())
            term = _Term(connection, epoch, head, books)
            log.info("Took the lead", epoch=epoch, head_seq=head.seq)
            self._leads = True
            LEADING.set(1)
            HEAD_SEQ.set(head.seq)
            while True:
                await self._turn(term)
        finally:
            connection.terminate()

    async def _turn(self, term: _Term) -> None:
        asks = await self._gather()
        commands = [ask.command for ask in asks]
        started = time.perf_counter()
        is_unknown = False  # until something may have been written
        try:
            await _prove_lead(term)
            self._now_ms = self._clock.now_ms()
            await term.recall.look_up(term.connection, term.books, commands)
            decided = self._decide(term, asks)
            if term.books.changes:
                is_unknown = True
                await self._commit(term)
        except BaseException as error:
            _fail(asks, effect_unknown=is_unknown and not isinstance(error, committing.NotWritten))
            raise
        for ask, answer in decided:
            _resolve(ask, term.books, answer)
        term.books.changes = Changes()
        term.recall.forget(term.books, commands)
        if asks:
            BATCH_COMMANDS.observe(len(asks))
            BATCH_SECONDS.observe(time.perf_counter() - started)

    async def _gather(self) -> list[_Ask]:
        """At least one command, or none after a tick: deadlines pass without anybody asking."""
        if not self._waiting:
            self._asked.clear()
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._asked.wait()
            except TimeoutError:
                return []
        return [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]

    def _decide(self, term: _Term, asks: list[_Ask]) -> list[tuple[_Ask, Answer | PlmError]]:
        for order in deciding.expired(term.books, self._now_ms):
            if isinstance(self._answer(term.books, order), PlmError):
                # Not at every tick again: it is in the books anew when it is next read.
                term.books.deadlines.pop((order.payment_id, order.number))
        return [(ask, self._answer(term.books, ask.command)) for ask in asks]

    def _answer(self, books: Books, command: Command) -> Answer | PlmError:
        """Decide one command. A fault of ours fails its sender alone, unless it leaves the books half changed."""
        if command in self._harmful:
            return _at_fault(command)
        steps = books.changes.steps
        try:
            return deciding.decide(books, command, self._now_ms)
        except PlmError as error:
            REFUSED.labels(str(error.code)).inc()
            answer = error
        except Exception:  # whatever it is: nobody else in the batch has anything to do with it
            log.exception("Failed to decide a command", command=type(command).__name__)
            answer = _at_fault(command)
        if books.changes.steps != steps:
            self._harmful.append(command)
            raise HalfDecided(type(command).__name__)
        return answer

    async def _commit(self, term: _Term) -> None:
        entries: list[Entry] = chain.append(
            term.head, term.books.changes.drafts, self._now_ms, term.epoch
        )
        deciding.seal(term.books, entries)
        head = Head(entries[-1].seq, entries[-1].hash) if entries else term.head
        messages = events.messages(term.books, head if entries else None, term.epoch)
        asked_at = time.monotonic()
        await committing.commit(term.connection, term.books, entries, messages, epoch=term.epoch)
        term.head, term.proven_at = head, asked_at
        HEAD_SEQ.set(head.seq)
        self.committed.set()

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


async def _prove_lead(term: _Term) -> None:
    """Refusals need no commit: they are true only while nobody else writes, and a dead connection does not say so."""
    if term.connection.is_closed():
        raise committing.NotWritten("the connection is closed")
    asked_at = time.monotonic()
    if asked_at - term.proven_at < _PROOF_S:
        return
    if await rows.load_epoch(term.connection, _PROOF_TIMEOUT_S) != term.epoch:
        raise committing.Fenced
    term.proven_at = asked_at


def _at_fault(command: Command) -> Unavailable:
    kind = type(command).__name__
    return Unavailable(Code.INTERNAL, f"the ledger failed on this {kind}; its log says how")


def _resolve(ask: _Ask, books: Books, answer: Answer | PlmError) -> None:
    if ask.answer.done():
        return  # the caller has gone; what it asked for is done all the same
    if isinstance(answer, PlmError):
        ask.answer.set_exception(answer)
    else:
        ask.answer.set_result(deciding.sealed(books, answer))


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
