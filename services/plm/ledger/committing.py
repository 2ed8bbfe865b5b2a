"""Records into rows: everything one batch changed, as one statement, which is one transaction and one round trip.

The statement locks the row of the epoch, sets synchronous_commit for its own commit, and writes only where the epoch is
still the writer's. Each table's rows travel as one array per column, written as text. What should move must be there: a
row that is not fails the statement, and with it everything else that the batch would write.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import asyncpg

from plm.domain.books import Books
from plm.domain.chain import Entry
from plm.ledger import hops
from plm.ledger.array_literals import array_literal
from plm.stores.postgres import Connection

# set_config with true is SET LOCAL: it holds until this transaction has ended.
_FENCE = (
    "fence AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)"
    " FROM writer WHERE epoch = $1 FOR SHARE)"
)


@dataclass(frozen=True, eq=False)
class _Table:
    """Where records of one kind go: columns with their types, how many of them are the key, which ones may change."""

    name: str
    columns: tuple[tuple[str, str], ...]
    keys: int = 0
    changing: tuple[str, ...] = ()
    returning: str = ""

    def statement(self, places: Iterator[int]) -> str:
        """An INSERT from one array per column; rows whose key exists get the changing columns anew."""
        names = ", ".join(name for name, _ in self.columns)
        insert = (
            f"write_{self.name} AS (INSERT INTO {self.name} ({names}) SELECT {names}"  # noqa: S608 - names are ours
            f" FROM {_rows(self.columns, places)} WHERE EXISTS (SELECT FROM fence)"
        )
        if not self.changing:
            return f"{insert} {self.returning})"
        key = ", ".join(name for name, _ in self.columns[: self.keys])
        updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in self.changing)
        return f"{insert} ON CONFLICT ({key}) DO UPDATE SET {updates})"


@dataclass(frozen=True, eq=False)
class _Move:
    """Rows that are there and of which only a few columns change: most of what a batch writes."""

    name: str
    columns: tuple[tuple[str, str], ...]
    keys: int

    def statement(self, places: Iterator[int]) -> str:
        """An UPDATE from one array per column."""
        key = " AND ".join(f"o.{name} = t.{name}" for name, _ in self.columns[: self.keys])
        updates = ", ".join(f"{name} = t.{name}" for name, _ in self.columns[self.keys :])
        return (
            f"move_{self.name} AS (UPDATE {self.name} o SET {updates} FROM {_rows(self.columns, places)}"  # noqa: S608 - names are ours
            f" WHERE {key} AND EXISTS (SELECT FROM fence) RETURNING 1)"
        )

    def check(self, place: int) -> str:
        """True, or an error of the whole statement. `place` is that of the first key's array."""
        return f"all_moved('{self.name}', (SELECT count(*) FROM move_{self.name}), cardinality(${place}::text::text[]))"  # noqa: S608 - names are ours


def _rows(columns: tuple[tuple[str, str], ...], places: Iterator[int]) -> str:
    arrays = ", ".join(f"${next(places)}::text::{kind}[]" for _, kind in columns)
    return f"unnest({arrays}) AS t ({', '.join(name for name, _ in columns)})"


_ENTRIES = _Table(
    "entries",
    (("seq", "bigint"), ("prev_hash", "bytea"), ("hash", "bytea"), ("version", "smallint"),
     ("transfer_id", "text"), ("kind", "text"), ("debit", "text"), ("credit", "text"),
     ("amount", "numeric"), ("currency", "text"), ("ref", "text"), ("created_at_ms", "bigint"),
     ("epoch", "bigint")),
    returning="RETURNING *",
)  # fmt: skip
_ACCOUNTS = _Table(
    "accounts",
    (("account_id", "text"), ("owner", "text"), ("currency", "text"), ("kind", "text"),
     ("posted", "numeric"), ("held", "numeric"), ("closed", "boolean")),
    1, ("posted", "held", "closed"),
)  # fmt: skip
_BALANCES = _Move(
    "accounts", (("account_id", "text"), ("posted", "numeric"), ("held", "numeric")), 1
)
# What moves at once is a transfer of its own; its row says what its entry says.
_TRANSFERS = (
    "write_transfers AS (INSERT INTO transfers (transfer_id, debit, credit, amount, currency, kind, entry_seq)"
    " SELECT transfer_id, debit, credit, amount, currency, kind, seq FROM write_entries"
    " WHERE kind IN ('fund', 'withdraw', 'transfer'))"
)
_PAYMENTS = _Table(
    "payments",
    (("payment_id", "text"), ("client_id", "text"), ("body_sha256", "bytea"), ("from_node", "text"),
     ("to_node", "text"), ("amount", "numeric"), ("currency", "text"), ("state", "text"),
     ("refusal_code", "text"), ("refusal_detail", "text"), ("created_at_ms", "bigint"),
     ("ended_at_ms", "bigint")),
    1, ("state", "refusal_code", "refusal_detail", "ended_at_ms"),
)  # fmt: skip
_ATTEMPTS = _Table(
    "attempts",
    (("payment_id", "text"), ("number", "integer"), ("state", "text"), ("hops", "jsonb"),
     ("opened_at_ms", "bigint"), ("deadline_ms", "bigint"), ("ended_at_ms", "bigint"),
     ("close_reason", "text"), ("failed_node", "text")),
    2, ("state", "ended_at_ms", "close_reason", "failed_node"),
)  # fmt: skip
_HOLDS = _Table(
    "holds",
    (("payment_id", "text"), ("number", "integer"), ("hop", "integer"), ("state", "text"),
     ("entry_seq", "bigint"), ("entry_hash", "bytea")),
    3, ("state", "entry_seq", "entry_hash"),
)  # fmt: skip
_NODES = _Table(
    "nodes",
    (("node_id", "text"), ("role", "text"), ("currency", "text"), ("enabled", "boolean"),
     ("object_uid", "text"), ("generation", "bigint"), ("version", "bigint")),
    1, ("role", "enabled", "object_uid", "generation", "version"),
)  # fmt: skip
_LINKS = _Table(
    "links",
    (("from_node", "text"), ("to_node", "text"), ("base_fee", "numeric"), ("fee_rate_ppm", "bigint"),
     ("latency_ms", "integer"), ("declared_volume", "numeric"), ("enabled", "boolean"),
     ("object_uid", "text"), ("generation", "bigint"), ("version", "bigint")),
    2, ("base_fee", "fee_rate_ppm", "latency_ms", "declared_volume", "enabled", "object_uid",
        "generation", "version"),
)  # fmt: skip
_VERSIONS = _Move("links", (("from_node", "text"), ("to_node", "text"), ("version", "bigint")), 2)
_OUTBOX = _Table("outbox", (("subject", "text"), ("payload", "bytea")))


class NotWritten(Exception):
    """Nothing of the batch was written, and its writer must not go on with the books it has."""


class Fenced(NotWritten):
    """Another writer has taken over."""


class Astray(NotWritten):
    """The rows are not what the books say: the database itself refused the batch."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What one batch writes: the statement, and one array literal for each of its columns."""

    statement: str
    arrays: list[str]


def rows_of(books: Books, entries: list[Entry], messages: list[tuple[str, bytes]]) -> Rows:
    """What has to be written of the books' changes. Taken at once: the next batch changes the same records."""
    batches = [(table, records) for table, records in _batches(books, entries, messages) if records]
    arrays = [
        array_literal(kind, column)
        for table, records in batches
        for (_, kind), column in zip(table.columns, zip(*records, strict=True), strict=True)
    ]
    return Rows(_statement(tuple(table for table, _ in batches)), arrays)


async def commit(connection: Connection, rows: Rows, *, epoch: int) -> None:
    """Write a batch. Returns once it is on disk. Raises NotWritten, and then nothing was.

    Any other error leaves open whether it was.
    """
    try:
        is_leading = await connection.fetchval(rows.statement, epoch, *rows.arrays)
    except (asyncpg.RaiseError, asyncpg.IntegrityConstraintViolationError) as error:
        # Rules of the tables: they speak before the commit, so it has not happened.
        raise Astray(str(error)) from error
    if not is_leading:
        raise Fenced


@lru_cache
def _statement(tables: tuple[_Table | _Move, ...]) -> str:
    place, writes, checks = 2, [], []
    for table in tables:
        writes.append(table.statement(count(place)))
        if isinstance(table, _Move):
            checks.append(table.check(place))
        place += len(table.columns)
    if _ENTRIES in tables:
        writes.append(_TRANSFERS)
    # A writer that was fenced off moved nothing, and that is no fault of the rows.
    is_leading = "EXISTS (SELECT FROM fence)"
    outcome = f"CASE WHEN {is_leading} THEN {' AND '.join(['true', *checks])} ELSE false END"
    return f"WITH {', '.join((_FENCE, *writes))} SELECT {outcome}"


def _batches(
    books: Books, entries: list[Entry], messages: list[tuple[str, bytes]]
) -> list[tuple[_Table | _Move, list[tuple[Any, ...]]]]:
    changes = books.changes

    def rows(
        record: Callable[[Books, Any], tuple[Any, ...]], keys: Iterable[Any]
    ) -> list[tuple[Any, ...]]:
        return [record(books, key) for key in keys]

    return [
        (_ENTRIES, [_entry(each) for each in entries]),
        # Two parts of one statement do not see each other's rows: what is new is written whole, and only there.
        (_ACCOUNTS, rows(_account, changes.accounts)),
        (_BALANCES, rows(_balance, changes.balances - changes.accounts)),
        (_PAYMENTS, rows(_payment, changes.payments)),
        # In order of number: an attempt is closed before the next is open, and only one may be.
        (_ATTEMPTS, rows(_attempt, sorted(changes.attempts))),
        (_HOLDS, rows(_hold, changes.hold_drafts)),
        (_NODES, rows(_node, changes.nodes)),
        (_LINKS, rows(_link, changes.links)),
        (_VERSIONS, rows(_version, changes.moved - changes.links)),
        (_OUTBOX, list(messages)),
    ]


def _entry(entry: Entry) -> tuple[Any, ...]:
    draft = entry.draft
    return (
        entry.seq, entry.prev_hash, entry.hash, entry.version, draft.transfer_id, draft.kind,
        draft.debit, draft.credit, str(draft.amount), draft.currency, draft.ref, entry.created_at_ms,
        entry.epoch,
    )  # fmt: skip


def _account(books: Books, key: str) -> tuple[Any, ...]:
    it = books.accounts[key]
    return it.account_id, it.owner, it.currency, it.kind, str(it.posted), str(it.held), it.closed


def _balance(books: Books, key: str) -> tuple[Any, ...]:
    it = books.accounts[key]
    return key, str(it.posted), str(it.held)


def _version(books: Books, key: tuple[str, str]) -> tuple[Any, ...]:
    return *key, books.links[key].version


def _payment(books: Books, key: str) -> tuple[Any, ...]:
    it, order = books.payments[key], books.payments[key].order
    return (
        order.payment_id, order.client_id, order.body_sha256, order.from_node, order.to_node,
        str(order.amount), order.currency, it.state, it.refusal_code, it.refusal_detail,
        it.created_at_ms, it.ended_at_ms,
    )  # fmt: skip


def _attempt(books: Books, key: tuple[str, int]) -> tuple[Any, ...]:
    it = books.attempts[key]
    return (
        it.payment_id, it.number, it.state, hops.encode(it.hops), it.opened_at_ms, it.deadline_ms,
        it.ended_at_ms, it.close_reason, it.failed_node,
    )  # fmt: skip


def _hold(books: Books, hold_id: str) -> tuple[Any, ...]:
    payment_id, number, hop = hold_id.rsplit("/", 2)
    attempt = books.attempts[payment_id, int(number)]
    it = next(each for each in attempt.holds if each.hop == int(hop))
    return payment_id, int(number), it.hop, it.state, it.entry_seq, it.entry_hash


def _node(books: Books, key: str) -> tuple[Any, ...]:
    it = books.nodes[key]
    registration = it.registration
    return (
        it.node_id, it.role, it.currency, it.enabled, registration.object_uid,
        registration.generation, it.version,
    )  # fmt: skip


def _link(books: Books, key: tuple[str, str]) -> tuple[Any, ...]:
    it = books.links[key]
    policy, registration = it.policy, it.registration
    return (
        it.from_node, it.to_node, str(policy.base_fee), policy.fee_rate_ppm, policy.latency_ms,
        str(it.declared_volume), it.enabled, registration.object_uid, registration.generation,
        it.version,
    )  # fmt: skip
