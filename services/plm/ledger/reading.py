"""What the ledger answers without its writer: committed rows, each answer from one consistent view."""

import asyncio
from dataclasses import replace

from plm.domain.books import Account, Books
from plm.domain.chain import Entry, Head
from plm.domain.errors import Code, Refused, Unavailable
from plm.domain.mesh import Link, Node
from plm.domain.payments import Payment
from plm.domain.settling import view
from plm.ledger import rows
from plm.stores.nats import Bus
from plm.stores.postgres import Pool, reading
from plm.wire import subjects

ENTRIES_MAX = 1000
# Of a stream that could not be asked.
UNKNOWN_SEQUENCE = -1
# Whoever wants a snapshot waits two seconds for it.
_BUS_S = 0.5


class Reader:
    """Reads for the gRPC server."""

    def __init__(self, pool: Pool, bus: Bus) -> None:
        self._pool = pool
        self._bus = bus

    async def payment(self, payment_id: str) -> Payment:
        """A payment with attempts. Raises Refused(unknown_payment)."""
        books = Books()
        async with reading(self._pool) as connection:
            await rows.load_payments(connection, books, [payment_id])
        return view(books, books.payment(payment_id))

    async def account(self, account_id: str) -> Account:
        """An account. Raises Refused(unknown_account)."""
        async with reading(self._pool) as connection:
            row = await connection.fetchrow(
                "SELECT * FROM accounts WHERE account_id = $1", account_id
            )
        if row is None:
            raise Refused(Code.UNKNOWN_ACCOUNT, f"no account {account_id!r}")
        return rows.account(row)

    async def entries(
        self, account_id: str, after_seq: int, limit: int
    ) -> tuple[list[Entry], Head]:
        """A page of the chain, of one account where it is named, and the head."""
        limit = min(max(limit, 1), ENTRIES_MAX)
        chosen = "SELECT * FROM entries WHERE seq > $1 ORDER BY seq LIMIT $2"
        arguments: list[object] = [after_seq, limit]
        if account_id:
            chosen = "SELECT * FROM entries WHERE seq > $1 AND (debit = $3 OR credit = $3) ORDER BY seq LIMIT $2"
            arguments.append(account_id)
        async with reading(self._pool) as connection:
            found = await connection.fetch(chosen, *arguments)
            head = await rows.load_head(connection)
        return [rows.entry(row) for row in found], head

    async def nodes(self) -> list[Node]:
        """All nodes with their links, disabled ones included."""
        async with reading(self._pool) as connection:
            return await _mesh(connection)

    async def snapshot(self) -> tuple[list[Node], int]:
        """The mesh, and a stream sequence such that it contains every event up to there.

        The sequence is read first: rows are committed before their events are published, so the rows read
        afterwards are at least as new. Events they contain already are told apart by their versions.
        Without a bus, or where it has no stream yet, the sequence is UNKNOWN_SEQUENCE: routing does not wait for it.
        """
        sequence = await self._last_sequence()
        return await self.nodes(), sequence

    async def _last_sequence(self) -> int:
        if not self._bus.is_connected:
            return UNKNOWN_SEQUENCE
        try:
            async with asyncio.timeout(_BUS_S):
                return await self._bus.last_sequence(subjects.LIQUIDITY_STREAM)
        except (Unavailable, TimeoutError):
            return UNKNOWN_SEQUENCE


async def _mesh(connection: object) -> list[Node]:
    nodes = await rows.load_nodes(connection)
    links: dict[str, list[Link]] = {}
    for link in await rows.load_links(connection):
        links.setdefault(link.from_node, []).append(link)
    return [replace(node, links=tuple(links.get(node.node_id, ()))) for node in nodes]
