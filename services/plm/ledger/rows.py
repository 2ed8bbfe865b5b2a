"""Rows into records: everything the ledger reads from Postgres, for the writer and for readers."""

from collections.abc import Iterable, Mapping
from typing import Any

from plm.domain import ids
from plm.domain.books import Account, Books, Transfer
from plm.domain.chain import Entry, EntryDraft, Head
from plm.domain.mesh import Link, LinkPolicy, Node, Registration
from plm.domain.orders import PaymentOrder
from plm.domain.payments import (
    Attempt,
    AttemptState,
    Hold,
    HoldState,
    Payment,
    PaymentState,
)
from plm.ledger import hops
from plm.stores.postgres import Connection

Row = Mapping[str, Any]

_LINKS = """
SELECT l.*, n.currency, a.posted - a.held AS volume
FROM links l JOIN nodes n ON n.node_id = l.from_node
JOIN accounts a ON a.account_id = 'link/' || l.from_node || '/' || l.to_node
ORDER BY l.from_node, l.to_node
"""


def account(row: Row) -> Account:
    """One row of accounts."""
    return Account(
        row["account_id"],
        row["owner"],
        row["currency"],
        row["kind"],
        int(row["posted"]),
        int(row["held"]),
        row["closed"],
    )


def node(row: Row) -> Node:
    """One row of nodes."""
    return Node(
        row["node_id"],
        row["role"],
        row["currency"],
        Registration(row["object_uid"], row["generation"]),
        row["version"],
        row["enabled"],
    )


def link(row: Row) -> Link:
    """One row of links, with its currency and volume joined."""
    return Link(
        row["from_node"],
        row["to_node"],
        LinkPolicy(int(row["base_fee"]), row["fee_rate_ppm"], row["latency_ms"]),
        int(row["declared_volume"]),
        Registration(row["object_uid"], row["generation"]),
        row["version"],
        row["currency"],
        row["enabled"],
        int(row["volume"]),
    )


def entry(row: Row) -> Entry:
    """One row of the chain."""
    draft = EntryDraft(
        row["transfer_id"],
        row["kind"],
        row["debit"],
        row["credit"],
        int(row["amount"]),
        row["currency"],
        row["ref"],
    )
    return Entry(
        row["seq"],
        row["prev_hash"],
        row["hash"],
        draft,
        row["created_at_ms"],
        row["epoch"],
        row["version"],
    )


def _payment(row: Row) -> Payment:
    order = PaymentOrder(
        row["payment_id"],
        row["client_id"],
        row["body_sha256"],
        row["from_node"],
        row["to_node"],
        int(row["amount"]),
        row["currency"],
    )
    return Payment(
        order,
        PaymentState(row["state"]),
        row["created_at_ms"],
        row["ended_at_ms"],
        row["refusal_code"],
        row["refusal_detail"],
    )


def _attempt(row: Row, holds: Iterable[Row]) -> Attempt:
    taken = tuple(
        Hold(
            ids.hold_id(each["payment_id"], each["number"], each["hop"]),
            each["hop"],
            HoldState(each["state"]),
            each["entry_seq"],
            each["entry_hash"],
        )
        for each in holds
    )
    return Attempt(
        row["payment_id"],
        row["number"],
        AttemptState(row["state"]),
        hops.decode(row["hops"]),
        row["opened_at_ms"],
        row["deadline_ms"],
        row["ended_at_ms"],
        row["close_reason"],
        row["failed_node"],
        taken,
    )


async def load_epoch(connection: Connection, timeout_s: float) -> int:
    """The epoch of whoever may write."""
    return int(await connection.fetchval("SELECT epoch FROM writer", timeout=timeout_s))


async def load_head(connection: Connection) -> Head:
    """The newest entry."""
    row = await connection.fetchrow("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")
    return Head(row["seq"], row["hash"]) if row else Head()


async def load_books(connection: Connection) -> Books:
    """All accounts, nodes and links, and every payment with an attempt under way."""
    books = Books()
    for row in await connection.fetch("SELECT * FROM accounts"):
        books.accounts[row["account_id"]] = account(row)
    for row in await connection.fetch("SELECT * FROM nodes"):
        books.nodes[row["node_id"]] = node(row)
    for row in await connection.fetch(_LINKS):
        found = link(row)
        books.links[found.key] = found
    open_ones = await connection.fetch("SELECT payment_id FROM attempts WHERE state = 'open'")
    await load_payments(connection, books, [row["payment_id"] for row in open_ones])
    return books


async def load_payments(connection: Connection, books: Books, payment_ids: list[str]) -> None:
    """Add payments with their attempts and holds to the books, as far as they exist."""
    if not payment_ids:
        return
    rows = await connection.fetch("SELECT * FROM payments WHERE payment_id = ANY($1)", payment_ids)
    if not rows:
        return
    known = [row["payment_id"] for row in rows]
    attempts = await connection.fetch(
        "SELECT * FROM attempts WHERE payment_id = ANY($1) ORDER BY payment_id, number", known
    )
    holds = await connection.fetch(
        "SELECT * FROM holds WHERE payment_id = ANY($1) ORDER BY payment_id, number, hop", known
    )
    by_attempt: dict[tuple[str, int], list[Row]] = {}
    for row in holds:
        by_attempt.setdefault((row["payment_id"], row["number"]), []).append(row)
    for row in rows:
        books.payments[row["payment_id"]] = _payment(row)
    for row in attempts:
        key = row["payment_id"], row["number"]
        books.put_attempt(_attempt(row, by_attempt.get(key, [])))
        books.changes.attempts.discard(key)


async def load_transfers(connection: Connection, books: Books, transfer_ids: list[str]) -> None:
    """Add direct transfers to the books, as far as they exist."""
    if not transfer_ids:
        return
    rows = await connection.fetch(
        "SELECT t.*, e.hash FROM transfers t JOIN entries e ON e.seq = t.entry_seq"
        " WHERE t.transfer_id = ANY($1)",
        transfer_ids,
    )
    for row in rows:
        books.transfers[row["transfer_id"]] = Transfer(
            row["transfer_id"],
            row["debit"],
            row["credit"],
            int(row["amount"]),
            row["currency"],
            row["kind"],
            entry_seq=row["entry_seq"],
            entry_hash=row["hash"],
        )


async def load_links(connection: Connection) -> list[Link]:
    """All links, in order of their names."""
    return [link(row) for row in await connection.fetch(_LINKS)]


async def load_nodes(connection: Connection) -> list[Node]:
    """All nodes, in order of their names."""
    return [node(row) for row in await connection.fetch("SELECT * FROM nodes ORDER BY node_id")]
