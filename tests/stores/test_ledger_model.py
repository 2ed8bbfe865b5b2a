"""The ledger on a real Postgres against its model: random commands, passing time, and restarts in between."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule, run_state_machine_as_test
from plm.domain.chain import Verifier
from plm.domain.deciding import Answer, Command
from plm.domain.errors import PlmError
from plm.domain.orders import CloseOrder
from plm.ledger import auditing, rows
from plm.ledger.writer import Writer
from plm.stores.postgres import connect
from support.ledger_machine import Balances, LedgerMachine
from support.ledgers import Database, leading_writer

_ANSWER_S = 20.0
_T = TypeVar("_T")
_EVERYTHING = "accounts, entries, transfers, payments, attempts, holds, nodes, links, outbox"


class Loop:
    """An event loop in a thread: Hypothesis's machines are not async."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class OnPostgres(LedgerMachine):
    """Every answer comes from a writer that has committed it."""

    database: Database
    loop: Loop

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.loop.run(self.database.run(f"TRUNCATE {_EVERYTHING}"))
        self.stack = AsyncExitStack()
        self.writer = self.loop.run(self._start())

    async def _start(self) -> Writer:
        leading = leading_writer(self.database.ledger, lambda: self.now_ms)
        return await self.stack.enter_async_context(leading)

    def ask(self, command: Command) -> Answer:
        return self.loop.run(self.writer.submit(command))

    def balances(self) -> Balances:
        found = self.loop.run(self.database.run("SELECT * FROM accounts"))
        return {row["account_id"]: (int(row["posted"]), int(row["held"])) for row in found}

    def let_time_pass(self, now_ms: int) -> None:
        self.now_ms = now_ms
        with pytest.raises(PlmError):  # refused, but what has expired is closed in its batch
            self.ask(CloseOrder("nobody's payment", 1, "a tick"))

    @rule()
    def restart(self) -> None:
        """A new process knows what the rows say, and nothing else."""
        self.loop.run(self.stack.aclose())
        self.writer = self.loop.run(self._start())

    def teardown(self) -> None:
        """Whatever has happened, the verification finds nothing in it."""
        self.loop.run(self.stack.aclose())
        verifier = Verifier()
        for row in self.loop.run(self.database.run("SELECT * FROM entries ORDER BY seq")):
            verifier.feed(rows.entry(row))
        verifier.check_balances(self.balances())
        self.loop.run(self._audit(verifier))
        assert verifier.findings == {}

    async def _audit(self, verifier: Verifier) -> None:
        connection = await connect(self.database.ledger)
        await auditing.audit(connection, verifier)
        connection.terminate()


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that is closed in the end."""
    made = Loop()
    yield made
    made.close()


def test_the_ledger_is_its_model(database: Database, loop: Loop) -> None:
    OnPostgres.database, OnPostgres.loop = database, loop
    chosen = settings(
        max_examples=30, stateful_step_count=40, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(OnPostgres, settings=chosen)
