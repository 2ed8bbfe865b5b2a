"""Real servers for these tests: one Postgres for all, a database for each, NATS where it is asked for."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from plm.migrate.runner import migrate
from plm.migrate.settings import MigrateSettings
from support.ledgers import Database
from support.nats import NatsServer, throwaway_nats
from support.postgres import ROOT, PostgresServer, throwaway_postgres

_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a server."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.stores)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """One Postgres; databases in it are apart."""
    with throwaway_postgres(migrated=False) as started:
        yield started


@pytest.fixture
def database(server: PostgresServer) -> Database:
    """A new, migrated database."""
    return new_database(server)


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    """A NATS server of its own: streams are not shared."""
    with throwaway_nats() as started:
        yield started


def new_database(server: PostgresServer) -> Database:
    """A migrated database that nobody used before."""
    made = Database(server, f"test_{next(_numbers)}")
    settings = MigrateSettings(
        postgres=made.superuser,
        ledger_password_file=server.folder / "ledger-password",
        migrations_directory=ROOT / "migrations" / "postgres",
    )
    asyncio.run(migrate(settings))
    return made
