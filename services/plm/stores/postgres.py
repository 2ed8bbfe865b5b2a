"""Postgres: settings, connections, and what its driver's errors mean. SQL stands beside what needs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import BaseModel, ConfigDict

from plm.domain.errors import Code, Refused, Unavailable

# After these the connection is of no more use and, in the middle of a commit, nobody knows the outcome.
# InterfaceError is asyncpg's own word for a connection that is closed or closing, InternalClientError for one that it
# sees dying between two of its states.
LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.CannotConnectNowError,
)

Connection = Any  # asyncpg is not typed
Pool = Any


class PostgresSettings(BaseModel):
    """Where Postgres is and how long we wait for it."""

    model_config = ConfigDict(frozen=True)

    host: str = "pg"
    port: int = 5432
    database: str = "plm"
    user: str = "ledger"
    password_file: Path | None = None
    connect_timeout_s: float = 5.0
    command_timeout_s: float = 10.0
    pool_max: int = 4

    def password(self) -> str | None:
        """The password, read anew each time: it may have been rotated."""
        return self.password_file.read_text().strip() if self.password_file else None


# A plan is often made while its tables are new and empty, where reading all looks cheap, and kept while they
# grow. All of ours find rows by key, or mean the whole table: so by key wherever there is one.
_PLANNING = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}


def _arguments(settings: PostgresSettings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "database": settings.database,
        "user": settings.user,
        "password": settings.password,
        "timeout": settings.connect_timeout_s,
        "command_timeout": settings.command_timeout_s,
        "server_settings": _PLANNING,
    }


async def connect(settings: PostgresSettings, **changes: object) -> Connection:
    """One direct connection. Raises Unavailable."""
    try:
        return await asyncpg.connect(**{**_arguments(settings), **changes})
    except (asyncpg.PostgresError, *LOST) as error:
        raise Unavailable(
            Code.LEDGER_UNAVAILABLE, f"Postgres: {error or type(error).__name__}"
        ) from error


@asynccontextmanager
async def open_pool(settings: PostgresSettings) -> AsyncIterator[Pool]:
    """A small pool for reading. It connects when it is first used."""
    pool = asyncpg.create_pool(**_arguments(settings), min_size=0, max_size=settings.pool_max)
    try:
        await pool
        yield pool
    finally:
        pool.terminate()


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """A connection with one consistent view for several statements. Raises Unavailable when the database cannot.

    Raises Refused for an argument that no column can hold, such as a text with a NUL character.
    """
    try:
        async with (
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection
    except asyncpg.DataError as error:
        raise Refused(Code.INVALID_REQUEST, str(error)) from error
    except (asyncpg.PostgresError, *LOST) as error:
        raise Unavailable(
            Code.LEDGER_UNAVAILABLE, f"Postgres: {error or type(error).__name__}"
        ) from error
