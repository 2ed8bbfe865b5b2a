"""Ledgers for tests on a real Postgres: a database of one's own, a writer that leads, and a look at the rows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from plm.domain.deciding import Answer, Command
from plm.ledger.clock import Clock, wall_ms
from plm.ledger.outbox import OutboxPublisher
from plm.ledger.verifying import Auditor, Verdict
from plm.ledger.writer import Writer
from plm.migrate.runner import migrate
from plm.migrate.settings import MigrateSettings
from plm.stores.nats import Bus, NatsSettings, open_bus
from plm.stores.postgres import PostgresSettings, open_pool
from support.postgres import ROOT, PostgresServer
from support.waiting import until

_LEAD_S = 60.0
_RELEASE_S = 30.0
_SENT_S = 60.0
_BLOCKED_S = 60.0
_LOOK_AGAIN_S = 0.02
# What a refused command must leave as it was. The outbox too: nothing is told of what did not happen.
_TABLES = (
    "entries", "accounts", "transfers", "payments", "attempts", "holds", "nodes", "links", "outbox",
)  # fmt: skip


@dataclass(frozen=True)
class Database:
    """One migrated database."""

    server: PostgresServer
    name: str

    @property
    def ledger(self) -> PostgresSettings:
        return self.server.ledger.model_copy(update={"database": self.name})

    @property
    def superuser(self) -> PostgresSettings:
        return self.server.superuser.model_copy(update={"database": self.name})

    async def run(self, sql: str, *arguments: object) -> list[Any]:
        """Rows of one statement by the superuser, who may do anything."""
        return await run(self.superuser, sql, *arguments)

    async def tamper(self, sql: str, *arguments: object) -> None:
        """Whatever a superuser may do who knows which commits are accepted."""
        await run(self.superuser, sql, *arguments, synchronous_commit="on")

    async def rows(self) -> dict[str, list[str]]:
        """Every row of every table, as text."""
        found = {}
        for table in _TABLES:
            rows = await self.run(f"SELECT t::text AS row FROM {table} t ORDER BY 1")  # noqa: S608 - names are ours
            found[table] = [row["row"] for row in rows]
        return found

    async def balance(self, account_id: str) -> tuple[int, int]:
        """Posted and held."""
        rows = await self.run("SELECT * FROM accounts WHERE account_id = $1", account_id)
        return int(rows[0]["posted"]), int(rows[0]["held"])

    async def until_released(self, account_id: str) -> None:
        """Wait until nothing is held on an account."""
        async with asyncio.timeout(_RELEASE_S):
            while (await self.balance(account_id))[1]:  # noqa: ASYNC110 - a row sets no event
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def until_sent(self) -> None:
        """Wait until nothing is left in the outbox."""
        async with asyncio.timeout(_SENT_S):
            while await self.run("SELECT 1 FROM outbox LIMIT 1"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def until_blocked(self) -> None:
        """Wait until some connection waits for a lock."""
        await self._until_some("wait_event_type = 'Lock'")

    async def until_waiting(self, event: str) -> None:
        """Wait until some connection waits for this, by Postgres' name for it."""
        await self._until_some("wait_event = $1", event)

    async def _until_some(self, condition: str, *arguments: object) -> None:
        ours = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        sought = f"{ours} AND {condition}"
        async with asyncio.timeout(_BLOCKED_S):
            while not await self.run(sought, *arguments):  # noqa: ASYNC110 - as above
                await asyncio.sleep(_LOOK_AGAIN_S)


def migrate_settings(database: Database) -> MigrateSettings:
    """How the project's migrations are run on it."""
    return MigrateSettings(
        postgres=database.superuser,
        ledger_password_file=database.server.folder / "ledger-password",
        migrations_directory=ROOT / "migrations" / "postgres",
    )


def new_database(server: PostgresServer, name: str) -> Database:
    """A migrated database."""
    made = Database(server, name)
    asyncio.run(migrate(migrate_settings(made)))
    return made


async def run(
    settings: PostgresSettings, sql: str, *arguments: object, **session: str
) -> list[Any]:
    """Rows of one statement on a connection of its own."""
    connection = await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        database=settings.database,
        user=settings.user,
        password=settings.password(),
        server_settings=session,
    )
    try:
        return list(await connection.fetch(sql, *arguments))
    finally:
        await connection.close()


@asynccontextmanager
async def running_writer(
    settings: PostgresSettings,
    clock_ms: Callable[[], int] = wall_ms,
    steady_ms: Callable[[], int] = lambda: 0,
) -> AsyncIterator[Writer]:
    """A writer whose task runs; it may lead or stand by. Time passes as the test says, and not beside that."""
    writer = Writer(settings, clock=Clock(clock_ms, steady_ms))
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert isinstance(outcome, asyncio.CancelledError), "the writer's task ended by itself"


@asynccontextmanager
async def leading_writer(
    settings: PostgresSettings,
    clock_ms: Callable[[], int] = wall_ms,
    steady_ms: Callable[[], int] = lambda: 0,
) -> AsyncIterator[Writer]:
    """A writer that leads."""
    async with running_writer(settings, clock_ms, steady_ms) as writer:
        await until(lambda: writer.leads, _LEAD_S, "the writer leads")
        yield writer


async def ask_all(writer: Writer, commands: Iterable[Command]) -> Answer:
    """One after the other; the last one's answer."""
    for command in commands:
        answer = await writer.submit(command)
    return answer


@asynccontextmanager
async def running_outbox(database: Database, bus: Bus, writer: Writer) -> AsyncIterator[None]:
    """The outbox is carried to the bus."""
    async with open_pool(database.ledger) as pool:
        task = asyncio.create_task(OutboxPublisher(pool, bus, writer).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def publishing_writer(
    database: Database, settings: NatsSettings
) -> AsyncIterator[tuple[Bus, Writer]]:
    """A writer that leads, and a bus to which what it commits is carried."""
    async with (
        open_bus(settings) as bus,
        leading_writer(database.ledger) as writer,
        running_outbox(database, bus, writer),
    ):
        yield bus, writer


async def verify(database: Database, nats_url: str) -> Verdict:
    """What `plm verify ledger` says."""
    async with open_bus(NatsSettings(url=nats_url)) as bus:
        return await Auditor(database.ledger, bus).verify()
