"""What the driver's errors mean to whoever asked: come again, or correct the question."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from plm.domain.errors import Code, PlmError, Refused, Unavailable
from plm.stores import postgres
from plm.stores.postgres import PostgresSettings, reading

UNAVAILABLE = [
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.CannotConnectNowError("the database system is shutting down"),
    asyncpg.OutOfMemoryError("out of memory"),
    asyncpg.DiskFullError("no space left on device"),
    asyncpg.SerializationError("could not serialize access"),
    asyncpg.InterfaceError("connection is closed"),
    ConnectionRefusedError("refused"),
    TimeoutError(),
]


class Failing:
    """A pool whose connections cannot be had, or fail at their first statement."""

    def __init__(self, error: Exception, *, connects: bool) -> None:
        self._error = error
        self._connects = connects

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Failing"]:
        if not self._connects:
            raise self._error
        yield self

    @asynccontextmanager
    async def transaction(self, **_options: object) -> AsyncIterator[None]:
        yield

    async def fetch(self) -> None:
        raise self._error


def raised(pool: Failing) -> PlmError:
    async def story() -> None:
        async with reading(pool) as connection:
            await connection.fetch()

    with pytest.raises(PlmError) as caught:
        asyncio.run(story())
    return caught.value


@pytest.mark.parametrize("connects", [False, True])
@pytest.mark.parametrize("error", UNAVAILABLE, ids=lambda error: type(error).__name__)
def test_a_database_that_cannot_answer_now_is_unavailable(
    error: Exception, *, connects: bool
) -> None:
    found = raised(Failing(error, connects=connects))
    assert isinstance(found, Unavailable)
    assert (found.code, found.effect_unknown) == (Code.LEDGER_UNAVAILABLE, False)
    assert found.detail.startswith("Postgres: ")


def test_what_no_column_can_hold_is_the_callers_fault() -> None:
    found = raised(Failing(asyncpg.DataError("invalid byte sequence"), connects=True))
    assert isinstance(found, Refused)
    assert found.code is Code.INVALID_REQUEST


@pytest.mark.parametrize("error", UNAVAILABLE, ids=lambda error: type(error).__name__)
def test_a_connection_that_cannot_be_made_is_unavailable(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(**_arguments: object) -> Any:
        raise error

    monkeypatch.setattr(asyncpg, "connect", connect)
    with pytest.raises(Unavailable, match="Postgres: "):
        asyncio.run(postgres.connect(PostgresSettings()))
