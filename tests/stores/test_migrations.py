"""Migrations on a real Postgres: once, all or nothing, one job at a time, never over a changed history."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest
from plm.domain.errors import Unavailable
from plm.migrate.plan import BadMigrationsError
from plm.migrate.runner import migrate
from plm.migrate.settings import MigrateSettings
from support.ledgers import Database, migrate_settings
from support.ports import free_port
from support.postgres import PostgresServer


async def schema(database: Database) -> list[str]:
    rows = await database.run(
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def history(database: Database) -> list[str]:
    return [row["row"] for row in await database.run("SELECT m::text AS row FROM migrations m")]


def with_files(database: Database, folder: Path, **files: str) -> MigrateSettings:
    """The project's migrations and some more."""
    settings = migrate_settings(database)
    shutil.copytree(settings.migrations_directory, folder, dirs_exist_ok=True)
    for name, sql in files.items():
        (folder / f"{name}.sql").write_text(sql)
    return settings.model_copy(update={"migrations_directory": folder})


async def test_a_second_run_changes_nothing(database: Database) -> None:
    before = await schema(database), await history(database)
    assert await migrate(migrate_settings(database)) == 0
    assert (await schema(database), await history(database)) == before


async def test_a_changed_file_is_refused_before_anything_is_done(
    database: Database, tmp_path: Path
) -> None:
    settings = with_files(database, tmp_path, **{"002_add_more": "CREATE TABLE more (x int)"})
    first = settings.migrations_directory / "001_init_ledger.sql"
    first.write_text(first.read_text() + "\n-- an innocent remark\n")
    before = await schema(database), await history(database)
    with pytest.raises(BadMigrationsError, match=r"001_init_ledger.sql was changed"):
        await migrate(settings)
    assert (await schema(database), await history(database)) == before


async def test_a_new_file_runs_once(database: Database, tmp_path: Path) -> None:
    settings = with_files(database, tmp_path, **{"002_add_more": "CREATE TABLE more (x int)"})
    assert [await migrate(settings), await migrate(settings)] == [1, 0]
    assert "more.x" in await schema(database)
    with pytest.raises(BadMigrationsError, match="does not know"):
        await migrate(migrate_settings(database))


async def test_a_file_that_fails_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    settings = with_files(
        database, tmp_path, **{"002_add_more": "CREATE TABLE more (x int); SELECT 1 / 0"}
    )
    before = await schema(database), await history(database)
    with pytest.raises(BadMigrationsError, match=r"002_add_more.sql: division by zero"):
        await migrate(settings)
    assert (await schema(database), await history(database)) == before


async def test_a_file_takes_as_long_as_it_takes_and_is_planned_as_usual(
    database: Database, tmp_path: Path
) -> None:
    """The time and the plans of the services are for rows that are found by key: a migration may read them all."""
    sql = "CREATE TABLE plans AS SELECT current_setting('enable_seqscan') AS seqscan; SELECT pg_sleep(1.5)"
    settings = with_files(database, tmp_path, **{"002_note_plans": sql})
    hasty = settings.postgres.model_copy(update={"command_timeout_s": 1.0})
    assert await migrate(settings.model_copy(update={"postgres": hasty})) == 1
    assert (await database.run("SELECT seqscan FROM plans"))[0]["seqscan"] == "on"


async def test_all_but_a_file_has_the_usual_time(database: Database) -> None:
    """A server whose machine has vanished is silent: the job would wait for its next word for ever."""
    settings = migrate_settings(database)
    hasty = settings.postgres.model_copy(update={"command_timeout_s": 0.3})
    connection = await asyncpg.connect(
        host=database.superuser.host,
        port=database.superuser.port,
        database=database.name,
        user="postgres",
    )
    try:
        async with asyncio.timeout(20), connection.transaction():
            await connection.execute("LOCK TABLE migrations")
            with pytest.raises(Unavailable):
                await migrate(settings.model_copy(update={"postgres": hasty}))
    finally:
        await connection.close()


async def test_a_connection_that_is_lost_under_a_file_is_told_with_its_name(
    database: Database, tmp_path: Path
) -> None:
    ending = "CREATE TABLE more (x int); SELECT pg_terminate_backend(pg_backend_pid())"
    settings = with_files(database, tmp_path, **{"002_add_more": ending})
    before = await schema(database), await history(database)
    with pytest.raises(Unavailable, match=r"002_add_more.sql"):
        await migrate(settings)
    assert (await schema(database), await history(database)) == before


async def test_many_jobs_at_once_run_each_file_once(server: PostgresServer) -> None:
    """The database is new to all of them: one creates it, one migrates it, the others wait and find it done."""
    settings = migrate_settings(Database(server, "raced_for"))
    assert sorted(await asyncio.gather(*(migrate(settings) for _ in range(8)))) == [0] * 7 + [1]


async def test_the_lock_is_waited_for_and_not_for_ever(database: Database, tmp_path: Path) -> None:
    settings = with_files(database, tmp_path, **{"002_add_more": "CREATE TABLE more (x int)"})
    connection = await asyncpg.connect(
        host=database.superuser.host,
        port=database.superuser.port,
        database=database.name,
        user="postgres",
    )
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", 0x6D6967)
        with pytest.raises(Unavailable):
            await migrate(settings.model_copy(update={"wait_s": 0.5}))
        assert "more.x" not in await schema(database)
        waiting = asyncio.create_task(migrate(settings))
        await database.until_blocked()
        assert not waiting.done()
    finally:
        await connection.close()
    assert await waiting == 1


async def test_each_run_sets_the_password_of_the_ledgers_role(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("o'clock\n")
    settings = migrate_settings(database)
    changed = settings.model_copy(update={"ledger_password_file": tmp_path / "password"})
    query = "SELECT rolpassword FROM pg_authid WHERE rolname = 'ledger'"
    before = await database.run(query)
    await migrate(changed)
    assert await database.run(query) != before
    await migrate(settings)


async def test_a_database_that_does_not_answer_is_waited_for_and_not_for_ever(
    database: Database,
) -> None:
    settings = migrate_settings(database)
    nowhere = settings.postgres.model_copy(update={"port": free_port()})
    with pytest.raises(Unavailable):
        await migrate(settings.model_copy(update={"postgres": nowhere, "wait_s": 0.6}))
