"""Paying a whole file: bounded concurrency, one journal, a stop that loses nothing, a tally at the end."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from plm.domain.errors import Code

from plmkit.payment_file import BadLine, Line
from plmkit.problems import UNREACHABLE, Problem
from plmkit.receipts import Order, Payment
from plmkit.result_file import FINAL_STATES, Journal, Result, bad_line_result, result_of

# Results written and synced together: at 1 000 payments per second a sync every 60 ms.
_BATCH_MAX = 64
# After a stop, payments in flight get this long to bring their answers home.
_STOP_GRACE_S = 25.0


class Payer(Protocol):
    """What pays: the gateway's client, or a fake."""

    async def pay(self, order: Order, key: str) -> Payment:
        """The payment of this key, settled or refused; raises Problem."""
        ...


@dataclass
class Tally:
    """What became of the lines so far, by state; `before` counts those that an earlier run had finished."""

    now: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    stopped: bool = False
    elapsed_s: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether every line of the file is settled."""
        return not self.stopped and set(self.now + self.before) <= {"settled"}

    @property
    def has_refusals(self) -> bool:
        """Whether a line will never be settled as it stands; without any, the same command again may settle all."""
        counts = self.now + self.before
        return bool(counts["refused"] + counts["bad_line"])

    @property
    def per_second(self) -> float:
        """Payments with a final answer per second of this run."""
        final = self.now["settled"] + self.now["refused"]
        return final / self.elapsed_s if self.elapsed_s else 0.0

    def add(self, result: Result) -> None:
        """Count one result of this run."""
        self.now[result.state] += 1
        if result.state != "bad_line":
            self.latencies_ms.append(result.milliseconds)

    def percentile_ms(self, percent: float) -> float:
        """Nearest rank over the payments of this run; 0 when there were none."""
        if not self.latencies_ms:
            return 0.0
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass
class FileRun:
    """One run over one file. `watch` sees each result once it is on disk."""

    payer: Payer
    journal: Journal
    stop: asyncio.Event
    watch: Callable[[Result, Tally], None]
    concurrency: int = 16
    clock: Callable[[], float] = time.monotonic
    _unreached: int = field(default=0, init=False)  # payments in a row that nobody took
    _hopeless: Problem | None = field(default=None, init=False)

    async def pay_all(self, lines: Iterable[Line | BadLine]) -> Tally:
        """Pay every line that has no final result yet. Ends early, losing nothing, when `stop` is set.

        Raises KitError when a result cannot be written, and when no further payment would fare better:
        nobody answers, or nobody knows the key. The next run asks for what has no result.
        """
        tally = Tally()
        started = self.clock()
        finished: asyncio.Queue[Result | None] = asyncio.Queue(maxsize=4 * self.concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._record(finished, tally))
                await self._dispatch(group, lines, finished, tally)
                await finished.put(None)
        except ExceptionGroup as failed:
            # The first is the reason; what else failed did so because all was ended.
            raise failed.exceptions[0] from failed
        if self._hopeless is not None:
            raise self._hopeless
        tally.elapsed_s = self.clock() - started
        tally.stopped = self.stop.is_set()
        return tally

    @property
    def _is_over(self) -> bool:
        return self.stop.is_set() or self._hopeless is not None

    async def _dispatch(
        self,
        group: asyncio.TaskGroup,
        lines: Iterable[Line | BadLine],
        finished: asyncio.Queue[Result | None],
        tally: Tally,
    ) -> None:
        in_flight: dict[str, asyncio.Task[None]] = {}
        for line in lines:
            if self._is_over:
                break
            known = self.journal.done(line)
            if known is not None:
                tally.before[known.state] += 1
            elif isinstance(line, BadLine):
                await finished.put(bad_line_result(line))
            else:
                await self._room_for(line, in_flight)
                if self._is_over:  # by now
                    break
                in_flight[line.key] = group.create_task(self._pay(line, finished))
        await self._drain(in_flight)

    async def _room_for(self, line: Line, in_flight: dict[str, asyncio.Task[None]]) -> None:
        # Lines that share a key go one after the other: which of them is first must not be a matter of chance.
        if line.key in in_flight:
            await in_flight.pop(line.key)
        while len(in_flight) >= self.concurrency:
            await asyncio.wait(set(in_flight.values()), return_when=asyncio.FIRST_COMPLETED)
            for key in [key for key, task in in_flight.items() if task.done()]:
                in_flight.pop(key).result()

    async def _drain(self, in_flight: dict[str, asyncio.Task[None]]) -> None:
        limit = asyncio.create_task(self._grace())
        pending = set(in_flight.values())
        try:
            while pending and not limit.done():
                done, _ = await asyncio.wait({*pending, limit}, return_when=asyncio.FIRST_COMPLETED)
                pending -= done
                for task in done:
                    task.result()
        finally:
            # A payment cut off here has no result: the next run asks again, with the same key.
            for task in {*pending, limit}:
                task.cancel()

    async def _grace(self) -> None:
        await self.stop.wait()
        await asyncio.sleep(_STOP_GRACE_S)

    async def _pay(self, line: Line, finished: asyncio.Queue[Result | None]) -> None:
        started = self.clock()
        try:
            payment = await self.payer.pay(line.order, line.key)
        except Problem as problem:
            self._judge(problem)
            await finished.put(_of_problem(line, problem, 1000 * (self.clock() - started)))
        else:
            self._unreached = 0
            await finished.put(_of_payment(line, payment, 1000 * (self.clock() - started)))

    def _judge(self, problem: Problem) -> None:
        self._unreached = self._unreached + 1 if problem.code == UNREACHABLE else 0
        # Each of them was sent again and again before: a restart of the gateway is over by then.
        if problem.code == Code.UNAUTHENTICATED or self._unreached >= self.concurrency:
            self._hopeless = problem

    async def _record(self, finished: asyncio.Queue[Result | None], tally: Tally) -> None:
        ended = False
        while not ended:
            batch = [await finished.get()]
            while len(batch) < _BATCH_MAX and not finished.empty():
                batch.append(finished.get_nowait())
            ended = None in batch
            results = [result for result in batch if result is not None]
            if results:
                await asyncio.to_thread(self.journal.append, results)
            for result in results:
                tally.add(result)
                self.watch(result, tally)


def _of_payment(line: Line, payment: Payment, milliseconds: float) -> Result:
    # An open payment is one whose outcome nobody has yet: the next run asks for it again, with the same key.
    state = payment.state if payment.state in FINAL_STATES else "unfinished"
    return replace(
        result_of(line, state, code=payment.refusal_code, detail=payment.refusal_detail),
        payment_id=payment.payment_id,
        route=" ".join(payment.route),
        fee=payment.fee,
        attempts=len(payment.attempts),
        milliseconds=round(milliseconds, 3),
    )


def _of_problem(line: Line, problem: Problem, milliseconds: float) -> Result:
    state = "refused" if problem.is_final else "unknown" if problem.effect_unknown else "unfinished"
    result = result_of(line, state, code=problem.code, detail=problem.detail)
    return replace(result, milliseconds=round(milliseconds, 3))
