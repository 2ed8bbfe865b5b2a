"""What the ledger answers without its writer: committed rows, each answer from one consistent view."""

import time
from dataclasses import dataclass, replace

from plm.domain.books import Account, Books
from plm.domain.chain import Entry, Finding, Head, Verifier
from plm.domain.errors import Code, Refused, Unavailable
from plm.domain.mesh import Link, Node
from plm.domain.payments import Payment
from plm.domain.settling import view
from plm.ledger import rows
from plm.stores.nats import Bus
from plm.stores.postgres import Connection, Pool, reading
from plm.wire import plm_pb2 as pb
from plm.wire import subjects

ENTRIES_MAX = 1000
ANCHORS_MAX = 10_000
_VERIFY_FETCH = 5000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    findings: tuple[Finding, ...]
    entries: int
    head: Head
    anchored_seq: int
    sums: dict[str, int]
    elapsed_ms: int


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
        """
        try:
            sequence = await self._bus.last_sequence(subjects.LIQUIDITY_STREAM)
        except Unavailable:
            sequence = 0  # no bus, or no stream yet: whoever follows starts at the beginning
        return await self.nodes(), sequence

    async def verify(self) -> Verdict:
        """Recompute everything from the rows and compare it with the balances and the recent anchors."""
        started = time.monotonic()
        anchors = await self._anchors()
        verifier = Verifier()
        async with reading(self._pool) as connection:
            at_anchors = await _feed(connection, verifier, {anchor.seq for anchor in anchors})
            accounts = [
                rows.account(row) for row in await connection.fetch("SELECT * FROM accounts")
            ]
        sums: dict[str, int] = {}
        for account in accounts:
            sums[account.currency] = sums.get(account.currency, 0) + account.posted
        for anchor in anchors:
            verifier.check_anchor(anchor, at_anchors.get(anchor.seq))
        verifier.check_balances({each.account_id: (each.posted, each.held) for each in accounts})
        verifier.check_sums(sums)
        elapsed_ms = int(1000 * (time.monotonic() - started))
        anchored_seq = anchors[-1].seq if anchors else 0
        findings = tuple(verifier.findings.values())
        return Verdict(findings, verifier.count, verifier.head, anchored_seq, sums, elapsed_ms)

    async def _anchors(self) -> list[Head]:
        """Recent anchors by seq. More than the last: rows that were cut off and written anew differ at an older one."""
        payloads = await self._bus.recent_payloads(
            subjects.ANCHOR_STREAM, subjects.ANCHOR_SUBJECT, ANCHORS_MAX
        )
        found = [pb.Anchor.FromString(payload) for payload in payloads]
        return sorted((Head(each.seq, each.hash) for each in found), key=lambda head: head.seq)


async def _feed(connection: Connection, verifier: Verifier, wanted: set[int]) -> dict[int, bytes]:
    """Give the verifier every row. Returns the hashes at the wanted places."""
    found = {}
    cursor = connection.cursor("SELECT * FROM entries ORDER BY seq", prefetch=_VERIFY_FETCH)
    async for row in cursor:
        entry = rows.entry(row)
        verifier.feed(entry)
        if entry.seq in wanted:
            found[entry.seq] = entry.hash
    return found


async def _mesh(connection: object) -> list[Node]:
    nodes = await rows.load_nodes(connection)
    links: dict[str, list[Link]] = {}
    for link in await rows.load_links(connection):
        links.setdefault(link.from_node, []).append(link)
    return [replace(node, links=tuple(links.get(node.node_id, ()))) for node in nodes]
