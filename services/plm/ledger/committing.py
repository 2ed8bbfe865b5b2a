"""Records into rows: everything one batch changed, in one durable transaction."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from plm.domain.books import Books
from plm.domain.chain import Entry
from plm.ledger import hops
from plm.stores.postgres import Connection

_FENCE = "SELECT 1 FROM writer WHERE epoch = $1 FOR SHARE"
_ENTRY_COLUMNS = (
    "seq", "prev_hash", "hash", "version", "transfer_id", "kind", "debit", "credit",
    "amount", "currency", "ref", "created_at_ms", "epoch",
)  # fmt: skip


def _upsert(
    table: str, columns: Sequence[tuple[str, str]], keys: int, changing: Sequence[str]
) -> str:
    """An INSERT from one array per column; rows whose first `keys` columns exist get the `changing` ones anew."""
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"${place}::{kind}[]" for place, (_, kind) in enumerate(columns, 1))
    conflict = ", ".join(name for name, _ in columns[:keys])
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in changing)
    action = f"ON CONFLICT ({conflict}) DO UPDATE SET {updates}" if changing else ""
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) {action}"  # noqa: S608 - names are ours


_ACCOUNTS = _upsert(
    "accounts",
    [("account_id", "text"), ("owner", "text"), ("currency", "text"), ("kind", "text"),
     ("posted", "numeric"), ("held", "numeric"), ("closed", "boolean")],
    1, ["posted", "held", "closed"],
)  # fmt: skip
_TRANSFERS = _upsert(
    "transfers",
    [("transfer_id", "text"), ("debit", "text"), ("credit", "text"), ("amount", "numeric"),
     ("currency", "text"), ("kind", "text"), ("entry_seq", "bigint")],
    1, [],
)  # fmt: skip
_PAYMENTS = _upsert(
    "payments",
    [("payment_id", "text"), ("client_id", "text"), ("body_sha256", "bytea"), ("from_node", "text"),
     ("to_node", "text"), ("amount", "numeric"), ("currency", "text"), ("state", "text"),
     ("refusal_code", "text"), ("refusal_detail", "text"), ("created_at_ms", "bigint"),
     ("ended_at_ms", "bigint")],
    1, ["state", "refusal_code", "refusal_detail", "ended_at_ms"],
)  # fmt: skip
_ATTEMPTS = _upsert(
    "attempts",
    [("payment_id", "text"), ("number", "integer"), ("state", "text"), ("hops", "jsonb"),
     ("opened_at_ms", "bigint"), ("deadline_ms", "bigint"), ("ended_at_ms", "bigint"),
     ("close_reason", "text"), ("failed_node", "text")],
    2, ["state", "ended_at_ms", "close_reason", "failed_node"],
)  # fmt: skip
_HOLDS = _upsert(
    "holds",
    [("payment_id", "text"), ("number", "integer"), ("hop", "integer"), ("state", "text"),
     ("entry_seq", "bigint"), ("entry_hash", "bytea")],
    3, ["state", "entry_seq", "entry_hash"],
)  # fmt: skip
_NODES = _upsert(
    "nodes",
    [("node_id", "text"), ("role", "text"), ("currency", "text"), ("enabled", "boolean"),
     ("object_uid", "text"), ("generation", "bigint"), ("version", "bigint")],
    1, ["role", "enabled", "object_uid", "generation", "version"],
)  # fmt: skip
_LINKS = _upsert(
    "links",
    [("from_node", "text"), ("to_node", "text"), ("base_fee", "numeric"), ("fee_rate_ppm", "bigint"),
     ("latency_ms", "integer"), ("declared_volume", "numeric"), ("enabled", "boolean"),
     ("object_uid", "text"), ("generation", "bigint"), ("version", "bigint")],
    2, ["base_fee", "fee_rate_ppm", "latency_ms", "declared_volume", "enabled", "object_uid",
        "generation", "version"],
)  # fmt: skip
_OUTBOX = "INSERT INTO outbox (subject, payload) SELECT * FROM unnest($1::text[], $2::bytea[])"


class Fenced(Exception):
    """Another writer has taken over: this one must not commit any more."""


async def commit(
    connection: Connection,
    books: Books,
    entries: list[Entry],
    messages: list[tuple[str, bytes]],
    *,
    epoch: int,
) -> None:
    """Write what the batch changed. Returns once it is on disk. Raises Fenced before anything is written."""
    await connection.execute("BEGIN; SET LOCAL synchronous_commit = on")
    if await connection.fetchval(_FENCE, epoch) is None:
        await connection.execute("ROLLBACK")
        raise Fenced
    if entries:
        await connection.copy_records_to_table(
            "entries", records=[_entry(each) for each in entries], columns=_ENTRY_COLUMNS
        )
    await _write_records(connection.execute, books)
    if messages:
        await connection.execute(_OUTBOX, *_columns(messages))
    await connection.execute("COMMIT")


async def _write_records(execute: Callable[..., Awaitable[Any]], books: Books) -> None:
    changes = books.changes
    # Parents before children: attempts refer to payments, holds to attempts, links to nodes.
    batches = (
        (_ACCOUNTS, [_account(books, key) for key in changes.accounts]),
        (_TRANSFERS, [_transfer(books, key) for key in changes.transfers]),
        (_PAYMENTS, [_payment(books, key) for key in changes.payments]),
        (_ATTEMPTS, [_attempt(books, key) for key in changes.attempts]),
        (_HOLDS, [_hold(books, key) for key in changes.hold_drafts]),
        (_NODES, [_node(books, key) for key in changes.nodes]),
        (_LINKS, [_link(books, key) for key in changes.links]),
    )
    for statement, records in batches:
        if records:
            await execute(statement, *_columns(records))


def _columns(records: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*records, strict=True)]


def _entry(entry: Entry) -> tuple[Any, ...]:
    draft = entry.draft
    return (
        entry.seq, entry.prev_hash, entry.hash, entry.version, draft.transfer_id, draft.kind,
        draft.debit, draft.credit, draft.amount, draft.currency, draft.ref, entry.created_at_ms,
        entry.epoch,
    )  # fmt: skip


def _account(books: Books, key: str) -> tuple[Any, ...]:
    it = books.accounts[key]
    return it.account_id, it.owner, it.currency, it.kind, it.posted, it.held, it.closed


def _transfer(books: Books, key: str) -> tuple[Any, ...]:
    it = books.transfers[key]
    return it.transfer_id, it.debit, it.credit, it.amount, it.currency, it.kind, it.entry_seq


def _payment(books: Books, key: str) -> tuple[Any, ...]:
    it, order = books.payments[key], books.payments[key].order
    return (
        order.payment_id, order.client_id, order.body_sha256, order.from_node, order.to_node,
        order.amount, order.currency, it.state, it.refusal_code, it.refusal_detail,
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
        it.from_node, it.to_node, policy.base_fee, policy.fee_rate_ppm, policy.latency_ms,
        it.declared_volume, it.enabled, registration.object_uid, registration.generation,
        it.version,
    )  # fmt: skip
