"""Carries migrations out: database, files, role password, all under one lock."""

import asyncio
import time
from pathlib import Path

import asyncpg
import structlog

from plm.domain.errors import Code, Unavailable
from plm.migrate import plan
from plm.migrate.settings import MigrateSettings
from plm.stores.postgres import LOST, Connection, PostgresSettings, connect

log = structlog.get_logger(__name__)

_LOCK_KEY = 0x6D6967  # "mig"
_RETRY_S = 0.5
# A file may rewrite a whole table: it has hours, less than its job, and usual plans, unlike what the services do. But a
# server that is left alone with one gives up, and its lock with it.
FILE_S_MAX = 3 * 3600.0
_PLANNED_AS_USUAL: dict[str, object] = {
    "server_settings": {"client_connection_check_interval": "5s"}
}
_HISTORY = """
CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


def read_folder(folder: Path) -> dict[str, str]:
    """The .sql files of a folder by name."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.sql"))}


async def migrate(settings: MigrateSettings) -> int:
    """Bring the database up to date and return how many files ran. Raises BadMigrationsError, Unavailable."""
    password = settings.ledger_password()
    migrations = plan.parse(read_folder(settings.migrations_directory))
    if not migrations:
        raise plan.BadMigrationsError(f"no migrations in {settings.migrations_directory}")
    await _ensure_database(settings)
    connection = await connect(settings.postgres, **_PLANNED_AS_USUAL)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY, timeout=settings.wait_s)
        ran = await _run_due(connection, migrations)
        await _set_password(connection, "ledger", password)
    except LOST as error:
        raise _lost(error) from error
    finally:
        connection.terminate()
    return ran


async def _run_due(connection: Connection, migrations: list[plan.Migration]) -> int:
    await connection.execute(_HISTORY)
    rows = await connection.fetch("SELECT number, checksum FROM migrations")
    todo = plan.due(migrations, {row["number"]: row["checksum"] for row in rows})
    for migration in todo:
        try:
            await _run(connection, migration)
        except LOST as error:
            raise _lost(error, f"{migration.name}: ") from error
        except asyncpg.PostgresError as error:
            raise plan.BadMigrationsError(f"{migration.name}: {error}") from error
        log.info("Applied migration", name=migration.name)
    return len(todo)


async def _run(connection: Connection, migration: plan.Migration) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = on")
        await connection.execute(migration.sql, timeout=FILE_S_MAX)
        await connection.execute(
            "INSERT INTO migrations (number, name, checksum) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )


def _lost(error: BaseException, where: str = "") -> Unavailable:
    return Unavailable(Code.LEDGER_UNAVAILABLE, f"{where}Postgres: {error or type(error).__name__}")


async def _ensure_database(settings: MigrateSettings) -> None:
    """Create the database when it is missing; wait for Postgres as long as we may."""
    give_up_at = time.monotonic() + settings.wait_s
    while True:
        try:
            await _create_database(settings.postgres)
        except Unavailable as error:
            if time.monotonic() > give_up_at:
                raise
            log.info("Waited for Postgres", reason=error.detail)
            await asyncio.sleep(_RETRY_S)
        else:
            return


async def _create_database(settings: PostgresSettings) -> None:
    name = settings.database
    connection = await connect(settings, database="postgres", **_PLANNED_AS_USUAL)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return  # another job was faster; the second error is what two at the very same moment see
    except LOST as error:
        raise _lost(error) from error
    finally:
        connection.terminate()


async def _set_password(connection: Connection, role: str, password: str) -> None:
    # ALTER ROLE takes no parameters; the server quotes for us.
    statement = await connection.fetchval(
        "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, password
    )
    await connection.execute(statement)
