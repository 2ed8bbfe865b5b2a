"""What the database itself refuses, whatever the program in front of it does."""

import asyncpg
import pytest
from plm.domain.orders import CloseOrder
from support import demo_mesh
from support.ledgers import Database, ask_all, leading_writer, run

ENTRY = (
    "INSERT INTO entries VALUES (1, decode(repeat('00', 32), 'hex'), decode(repeat('01', 32), 'hex'), 1,"
    " 't', 'transfer', 'x', 'y', 1, 'USD', 't', 0, 1)"
)


async def connect(database: Database, *, is_ledger: bool = True) -> asyncpg.Connection:
    settings = database.ledger if is_ledger else database.superuser
    return await asyncpg.connect(
        host=settings.host, port=settings.port, database=database.name, user=settings.user
    )


async def test_telemetry_commits_without_waiting_and_money_does_not(database: Database) -> None:
    """The default of the database is off; the role of the ledger has it on."""
    assert [row[0] for row in await database.run("SHOW synchronous_commit")] == ["off"]
    assert [row[0] for row in await run(database.ledger, "SHOW synchronous_commit")] == ["on"]


@pytest.mark.parametrize("level", ["off", "local", "remote_write"])
@pytest.mark.parametrize("is_ledger", [True, False])
async def test_a_posting_that_may_be_lost_is_refused(
    database: Database, level: str, is_ledger: bool
) -> None:
    """By INSERT and by COPY, for the ledger and for a superuser."""
    connection = await connect(database, is_ledger=is_ledger)
    try:
        await connection.execute(f"SET synchronous_commit = {level}")
        with pytest.raises(asyncpg.RaiseError, match="needs synchronous_commit = on"):
            await connection.execute(ENTRY)
        row = (1, bytes(32), bytes(32), 1, "t", "transfer", "x", "y", 1, "USD", "t", 0, 1)
        with pytest.raises(asyncpg.RaiseError, match="needs synchronous_commit = on"):
            await connection.copy_records_to_table("entries", records=[row])
        await connection.execute("SET synchronous_commit = on")
        await connection.execute(ENTRY)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts VALUES ('x', '', 'USD', 'external', 0, 0)",
        "UPDATE accounts SET held = 0",
        "INSERT INTO payments SELECT * FROM payments",
        "UPDATE payments SET refusal_code = 'x'",
        "INSERT INTO attempts SELECT * FROM attempts",
        "UPDATE attempts SET close_reason = 'x'",
        "INSERT INTO holds SELECT * FROM holds",
        "UPDATE holds SET entry_seq = 1",
    ],
)
async def test_a_promise_about_money_that_may_be_lost_is_refused(
    database: Database, statement: str
) -> None:
    """A tombstone has no entry: it must reach the disk before it is acknowledged, as a posting must."""
    with pytest.raises(asyncpg.RaiseError, match="needs synchronous_commit = on"):
        await run(database.ledger, statement, synchronous_commit="off")
    await run(database.ledger, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET amount = amount + 1",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "DELETE FROM accounts",
        "DELETE FROM payments",
        "DELETE FROM holds",
        "DELETE FROM writer",
        "UPDATE outbox SET payload = ''",
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "DROP TABLE entries",
        "UPDATE migrations SET checksum = ''",
        "CREATE TABLE mine (x int)",
    ],
)
async def test_the_ledgers_role_appends_and_rewrites_nothing(
    database: Database, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(database.ledger, statement)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE attempts SET state = 'closed'", asyncpg.RaiseError),
        ("UPDATE holds SET state = 'voided'", asyncpg.RaiseError),
        ("UPDATE payments SET state = 'open'", asyncpg.RaiseError),
        (
            "INSERT INTO attempts SELECT payment_id, 2, state, hops, 0, 0, 0, '', '' FROM attempts",
            asyncpg.UniqueViolationError,
        ),
        (
            "UPDATE accounts SET held = posted + 1 WHERE account_id = 'link/a/b'",
            asyncpg.CheckViolationError,
        ),
        ("UPDATE accounts SET held = -1", asyncpg.CheckViolationError),
        (
            "INSERT INTO holds VALUES ('nobody', 1, 0, 'pending', 1, '')",
            asyncpg.ForeignKeyViolationError,
        ),
    ],
)
async def test_what_has_ended_stays_ended_also_for_a_writer_with_a_fault(
    database: Database, statement: str, error: type[Exception]
) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, [*demo_mesh.founding(), *demo_mesh.whole_payment("p")])
    with pytest.raises(error):
        await run(database.ledger, statement)


_COPY = """
INSERT INTO entries
SELECT (SELECT max(seq) + 1 FROM entries), decode(repeat('ee', 32), 'hex'), hash, version, transfer_id, $1, debit,
    credit, amount, currency, ref, created_at_ms, epoch
FROM entries WHERE seq = (SELECT min(seq) FROM entries WHERE kind = $2)
"""


@pytest.mark.parametrize("ended", ["post", "void"])
@pytest.mark.parametrize("again", ["hold", "post", "void"])
async def test_the_chain_takes_a_hold_once_and_ends_it_once(
    database: Database, ended: str, again: str
) -> None:
    """Whatever a writer believes: no money is set aside, moved or given back twice under one hold's id."""
    last = demo_mesh.post_order("p") if ended == "post" else CloseOrder("p", 1, "given up")
    async with leading_writer(database.ledger) as writer:
        course = [*demo_mesh.whole_payment("p")[:4], last]
        await ask_all(writer, [*demo_mesh.founding(), *course])
    with pytest.raises(asyncpg.UniqueViolationError, match=r"entries_(held|ended)_once"):
        await run(database.ledger, _COPY, again, "hold")
    await run(database.ledger, _COPY, "transfer", "fund")
