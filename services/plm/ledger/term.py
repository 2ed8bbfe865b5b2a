"""One time of leadership: its connections, its epoch, its copy of the books, and what is decided on it.

The copy is ahead of the database by the batches that are not yet committed, one at most in flight and one behind it.
When a commit fails the copy is wrong, and the term is over: nothing decided on it is written any more.
"""

import time
from collections import deque
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter

from plm.domain import chain, deciding
from plm.domain.books import Books, Changes
from plm.domain.chain import Head
from plm.domain.deciding import Answer, Command
from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.orders import CloseOrder
from plm.ledger import committing, events, rows
from plm.ledger.clock import Clock
from plm.ledger.recalling import Recall
from plm.ledger.sharing import BATCH_MAX
from plm.stores.postgres import Connection

log = structlog.get_logger(__name__)

# How long after its last commit a writer is believed to lead, and how long it then waits for the database to say so.
_PROOF_S = 2.0
_PROOF_TIMEOUT_S = 2.0

REFUSED = Counter("plm_ledger_refused_total", "Commands refused, by code.", ("code",))


class HalfDecided(committing.NotWritten):
    """A decision failed after it had begun to change the books: they must never be committed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was decided together: an outcome for each command, to be told once the rows are on disk."""

    outcomes: list[Answer | PlmError]
    rows: committing.Rows | None  # none when nothing changed
    head: Head  # after it


@dataclass(slots=True)
class Term:
    """Commands are decided one batch after the other, and written in the same order."""

    connection: Connection  # holds the lock, and writes
    # Reads while the other one commits. What it reads is in no batch under way: all that those name is in the books.
    reader: Connection
    clock: Clock
    # Commands that cost a term once, and shall not again: they outlive it.
    harmful: deque[Command]
    epoch: int = 0
    head: Head = field(default_factory=Head)
    books: Books = field(default_factory=Books)
    _recall: Recall = field(default_factory=Recall)
    _proven_at: float = field(default_factory=time.monotonic)

    async def open(self) -> None:
        """Raise the epoch and read the books. Raises Fenced where the two connections lead to different servers."""
        self.epoch = await self.connection.fetchval(
            "UPDATE writer SET epoch = epoch + 1 RETURNING epoch"
        )
        if await rows.load_epoch(self.reader, _PROOF_TIMEOUT_S) != self.epoch:
            raise committing.Fenced
        self.head = await rows.load_head(self.connection)
        self.books = await rows.load_books(self.connection)
        deciding.bound_deadlines(self.books, self.clock.now_ms())

    async def decide(self, commands: list[Command]) -> Batch:
        """Carry commands out on the copy of the books. Raises HalfDecided, and the term is over."""
        await self._recall.look_up(self.reader, self.books, commands)
        # From here on nothing waits: what is written must be what these decisions have changed.
        now_ms = self.clock.now_ms()
        overdue = deciding.expired(self.books, now_ms)[:BATCH_MAX]
        for order in overdue:
            if isinstance(self._answer(order, now_ms), PlmError):
                # Not at every tick again: it is in the books anew when it is next read.
                self.books.deadlines.pop((order.payment_id, order.number))
        answers = [self._answer(command, now_ms) for command in commands]
        return self._seal(answers, [*overdue, *commands], now_ms)

    def _answer(self, command: Command, now_ms: int) -> Answer | PlmError:
        """Decide one command. A fault of ours fails its sender alone, unless it leaves the books half changed."""
        if command in self.harmful:
            return _at_fault(command)
        steps = self.books.changes.steps
        try:
            return deciding.decide(self.books, command, now_ms)
        except PlmError as error:
            REFUSED.labels(str(error.code)).inc()
            answer = error
        except Exception:  # whatever it is: nobody else in the batch has anything to do with it
            log.exception("Failed to decide a command", command=type(command).__name__)
            answer = _at_fault(command)
        if self.books.changes.steps != steps:
            self.harmful.append(command)
            raise HalfDecided(type(command).__name__)
        return answer

    def _seal(
        self, answers: list[Answer | PlmError], commands: list[Command | CloseOrder], now_ms: int
    ) -> Batch:
        written = self._rows(now_ms) if self.books.changes else None
        outcomes = [
            answer if isinstance(answer, PlmError) else deciding.sealed(self.books, answer)
            for answer in answers
        ]
        self.books.changes = Changes()
        self._recall.forget(self.books, commands)
        return Batch(outcomes, written, self.head)

    def _rows(self, now_ms: int) -> committing.Rows:
        entries = chain.append(self.head, self.books.changes.drafts, now_ms, self.epoch)
        deciding.seal(self.books, entries)
        if entries:
            self.head = Head(entries[-1].seq, entries[-1].hash)
        messages = events.messages(self.books, self.head if entries else None, self.epoch)
        return committing.rows_of(self.books, entries, messages)

    async def write(self, batch: Batch) -> None:
        """Return once a batch is on disk or, where it changes nothing, once we are known to lead.

        Refusals need no commit: they are true only while nobody else writes, and a dead connection does not say so.
        The database is asked when its last word is older than two seconds.
        Raises NotWritten, and then nothing was.
        """
        if self.connection.is_closed():
            raise committing.NotWritten("the connection is closed")
        asked_at = time.monotonic()
        if batch.rows is not None:
            await committing.commit(self.connection, batch.rows, epoch=self.epoch)
        elif asked_at - self._proven_at < _PROOF_S:
            return
        elif await rows.load_epoch(self.connection, _PROOF_TIMEOUT_S) != self.epoch:
            raise committing.Fenced
        self._proven_at = asked_at

    def give_up(self) -> None:
        """Hang up, in the moment in which a batch has failed.

        A batch that took too long must not be cancelled, which the driver is about to ask for: a commit that waits for
        a synchronous standby would then be seen by all and be on one disk alone. And nobody shall wait for what is
        still being read for the next batch, which will never be sent.
        """
        self.connection.terminate()
        self.reader.terminate()


def _at_fault(command: Command) -> Unavailable:
    kind = type(command).__name__
    return Unavailable(Code.INTERNAL, f"the ledger failed on this {kind}; its log says how")
