"""What the ledger's writer is measured against: the same rows written without its design, or without its work.

Trigger: the usual way to chain rows. Each client has its own connection and transaction; a trigger locks the one head
row, hashes in the database and moves the head. Raw batch: the writer's queue and COPY, but nothing is decided, hashed
or looked up: its rows come ready-made. Both write entry, transfer, accounts, links and messages as the writer does.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from plm.stores.postgres import Connection, PostgresSettings, connect

# A move of one minor unit over a link, by the client of this number.
Link = tuple[str, str]
Move = Callable[[int, Link], Awaitable[object]]
BATCH_MAX = 512
EVENT = bytes(80)

_TRIGGER = """
CREATE TABLE head (only_row boolean PRIMARY KEY DEFAULT true, seq bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO head (seq, hash) SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1;
GRANT SELECT, UPDATE ON head TO ledger;
CREATE FUNCTION chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE last head%ROWTYPE;
BEGIN
    SELECT * INTO last FROM head FOR UPDATE;
    NEW.seq := last.seq + 1;
    NEW.prev_hash := last.hash;
    NEW.hash := sha256(last.hash || convert_to(concat_ws('|', NEW.seq, NEW.transfer_id, NEW.kind, NEW.debit,
        NEW.credit, NEW.amount, NEW.currency, NEW.ref, NEW.created_at_ms, NEW.epoch), 'UTF8'));
    UPDATE head SET seq = NEW.seq, hash = NEW.hash;
    RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION chain();
"""
# One statement and one round trip: the trigger's best.
_MOVE = """
WITH written AS (
    INSERT INTO entries (transfer_id, kind, debit, credit, amount, currency, ref, created_at_ms, epoch, version)
    VALUES ($1, 'transfer', $2, $3, 1, 'USD', $1, 1, 1, 1) RETURNING seq
), booked AS (
    UPDATE accounts SET posted = posted + CASE account_id WHEN $2 THEN -1 ELSE 1 END
    WHERE account_id IN ($2, $3)
), linked AS (
    UPDATE links SET version = version + 1
    WHERE (from_node, to_node) IN (($4, $5), ($5, $4))
), told AS (
    INSERT INTO outbox (subject, payload) SELECT 'liquidity.updates.a.b', $6::bytea FROM generate_series(1, 3)
)
INSERT INTO transfers SELECT $1, $2, $3, 1, 'USD', 'transfer', seq FROM written
"""
_RAW_TRANSFERS = """
INSERT INTO transfers SELECT id, debit, credit, 1, 'USD', 'transfer', seq
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS t (id, debit, credit, seq)
"""
_RAW_ACCOUNTS = """
UPDATE accounts a SET posted = posted + t.change FROM unnest($1::text[], $2::numeric[]) AS t (id, change)
WHERE a.account_id = t.id
"""
_RAW_LINKS = """
UPDATE links l SET version = version + 1 FROM unnest($1::text[], $2::text[]) AS t (source, target)
WHERE (l.from_node, l.to_node) = (t.source, t.target)
"""
_RAW_OUTBOX = "INSERT INTO outbox (subject, payload) SELECT * FROM unnest($1::text[], $2::bytea[])"
_COLUMNS = (
    "seq", "prev_hash", "hash", "version", "transfer_id", "kind", "debit", "credit",
    "amount", "currency", "ref", "created_at_ms", "epoch",
)  # fmt: skip


@cache
def accounts_of(link: Link) -> tuple[str, str]:
    """Debit and credit of a move over a link."""
    return f"link/{link[0]}/{link[1]}", f"link/{link[1]}/{link[0]}"


async def install_trigger(superuser: PostgresSettings) -> None:
    """Turn a migrated database into one whose rows are chained by a trigger."""
    connection = await connect(superuser)
    try:
        await connection.execute("SET synchronous_commit = on")
        await connection.execute(_TRIGGER)
    finally:
        await connection.close()


@asynccontextmanager
async def trigger(settings: PostgresSettings, clients: int) -> AsyncIterator[Move]:
    """One connection per client."""
    numbers = count()
    async with AsyncExitStack() as stack:
        statements = []
        for _ in range(clients):
            connection = await connect(settings)
            stack.push_async_callback(connection.close)
            statements.append(await connection.prepare(_MOVE))

        async def move(client: int, link: Link) -> object:
            debit, credit = accounts_of(link)
            name = f"t{next(numbers)}"
            return await statements[client].fetchval(name, debit, credit, *link, EVENT)

        yield move


@dataclass
class _Ask:
    link: Link
    done: asyncio.Future[None]


@asynccontextmanager
async def raw_batch(settings: PostgresSettings) -> AsyncIterator[Move]:
    """One connection, one task that writes what waits."""
    connection = await connect(settings)
    queue: asyncio.Queue[_Ask] = asyncio.Queue()
    task = asyncio.create_task(_write_for_ever(connection, queue))

    async def move(_client: int, link: Link) -> object:
        ask = _Ask(link, asyncio.get_running_loop().create_future())
        queue.put_nowait(ask)
        await ask.done
        return None

    try:
        yield move
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.close()


async def _write_for_ever(connection: Connection, queue: asyncio.Queue[_Ask]) -> None:
    seq = await connection.fetchval("SELECT max(seq) FROM entries")
    while True:
        asks = [await queue.get()]
        while len(asks) < BATCH_MAX and not queue.empty():
            asks.append(queue.get_nowait())
        await _write(connection, [ask.link for ask in asks], seq)
        seq += len(asks)
        for ask in asks:
            ask.done.set_result(None)


async def _write(connection: Connection, links: list[Link], seq: int) -> None:
    entries: list[tuple[Any, ...]] = []
    changes: dict[str, int] = {}
    for place, link in enumerate(links, seq + 1):
        debit, credit = accounts_of(link)
        name = f"t{place}"
        hashes = os.urandom(32), os.urandom(32)
        entries.append((place, *hashes, 1, name, "transfer", debit, credit, 1, "USD", name, 1, 1))
        changes[debit] = changes.get(debit, 0) - 1
        changes[credit] = changes.get(credit, 0) + 1
    ends = sorted({end for link in links for end in (link, link[::-1])})
    subjects = [f"liquidity.updates.{source}.{target}" for source, target in ends]
    subjects.append("anchors.ledger")
    await connection.execute("BEGIN; SET LOCAL synchronous_commit = on")
    await connection.copy_records_to_table("entries", records=entries, columns=_COLUMNS)
    names, debits, credited = ([row[place] for row in entries] for place in (4, 6, 7))
    places = [row[0] for row in entries]
    await connection.execute(_RAW_TRANSFERS, names, debits, credited, places)
    await connection.execute(_RAW_ACCOUNTS, list(changes), list(changes.values()))
    await connection.execute(_RAW_LINKS, [end[0] for end in ends], [end[1] for end in ends])
    await connection.execute(_RAW_OUTBOX, subjects, [EVENT] * len(subjects))
    await connection.execute("COMMIT")
