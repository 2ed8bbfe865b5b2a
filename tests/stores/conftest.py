"""Real servers for these tests: one Postgres for all, a database for each, NATS where it is asked for."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from support.ledgers import Database, new_database
from support.nats import NatsServer, throwaway_nats
from support.postgres import PostgresServer, throwaway_postgres

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
    return new_database(server, f"test_{next(_numbers)}")


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    """A NATS server of its own: streams are not shared."""
    with throwaway_nats() as started:
        yield started
