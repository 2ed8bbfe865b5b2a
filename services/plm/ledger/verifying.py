"""Verification: recompute everything from the rows, in one consistent view, and compare it with what was published."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
from google.protobuf.message import DecodeError

from plm.domain.books import Account
from plm.domain.chain import Finding, FindingKind, Head, Verifier
from plm.domain.errors import Code, Unavailable
from plm.ledger import auditing, rows
from plm.stores.nats import Bus
from plm.stores.postgres import LOST, Connection, PostgresSettings, connect
from plm.wire import plm_pb2 as pb
from plm.wire import subjects

ANCHORS_MAX = 10_000
_HASH_BYTES = 32
# Between two chunks everybody else has a turn: the writer runs on the same loop.
CHUNK_ROWS = 250
_STATEMENT_S = 300.0
_TURN_S = 30.0
# It reads tables whole, unlike everything else here, so it joins them whole; the other cores are the writer's.
_PLANNING = {"enable_nestloop": "off", "max_parallel_workers_per_gather": "0", "jit": "off"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    findings: tuple[Finding, ...]
    entries: int
    head: Head
    anchored_seq: int
    anchors_unread: str  # why anchors could not be read, all or some; empty when they were
    sums: dict[str, int]
    elapsed_ms: int


class Auditor:
    """Verifies, once at a time, on a connection of its own: readers and the outbox keep theirs."""

    def __init__(self, postgres: PostgresSettings, bus: Bus) -> None:
        self._postgres = postgres
        self._bus = bus
        self._turn = asyncio.Lock()

    async def verify(self) -> Verdict:
        """Recompute everything from the rows and compare it with the balances and the recent anchors."""
        try:
            async with asyncio.timeout(_TURN_S):
                await self._turn.acquire()
        except TimeoutError:
            raise Unavailable(
                Code.OVERLOADED, "another verification is under way", retry_after_ms=5_000
            ) from None
        try:
            return await self._verify()
        finally:
            self._turn.release()

    async def _verify(self) -> Verdict:
        started = time.monotonic()
        anchors, anchors_unread = await self._anchors()
        verifier = Verifier()
        async with _snapshot(self._postgres) as connection:
            at_anchors = await _feed(connection, verifier, {anchor.seq for anchor in anchors})
            await auditing.audit(connection, verifier)
            accounts = await _accounts(connection, verifier)
        sums: dict[str, int] = {}
        for account in accounts:
            sums[account.currency] = sums.get(account.currency, 0) + account.posted
        for anchor in anchors:
            verifier.check_anchor(anchor, at_anchors.get(anchor.seq))
        verifier.check_balances({each.account_id: (each.posted, each.held) for each in accounts})
        verifier.check_currencies({each.account_id: each.currency for each in accounts})
        verifier.check_sums(sums)
        return Verdict(
            tuple(verifier.findings.values()),
            verifier.count,
            verifier.head,
            anchors[-1].seq if anchors else 0,
            anchors_unread,
            sums,
            int(1000 * (time.monotonic() - started)),
        )

    async def _anchors(self) -> tuple[list[Head], str]:
        """Recent anchors by seq. More than the last: rows that were cut off and written anew differ at an older one.

        Without a bus there are none, and why: what the rows say of themselves can be judged all the same.
        """
        try:
            payloads = await self._bus.recent_payloads(
                subjects.ANCHOR_STREAM, subjects.ANCHOR_SUBJECT, ANCHORS_MAX
            )
        except Unavailable as error:
            return [], error.detail
        return _heads(payloads)


def _heads(payloads: Sequence[bytes]) -> tuple[list[Head], str]:
    """The anchors among what the stream holds, and what to say of the rest: the stream is not the ledger's own."""
    heads = []
    for payload in payloads:
        with suppress(DecodeError):
            anchor = pb.Anchor.FromString(payload)
            if anchor.seq > 0 and len(anchor.hash) == _HASH_BYTES:
                heads.append(Head(anchor.seq, anchor.hash))
    strange = len(payloads) - len(heads)
    why = f"{strange} of {len(payloads)} messages in {subjects.ANCHOR_STREAM} are no anchors"
    return sorted(heads, key=lambda head: head.seq), why if strange else ""


@asynccontextmanager
async def _snapshot(settings: PostgresSettings) -> AsyncIterator[Connection]:
    connection = await connect(
        settings, command_timeout=_STATEMENT_S, server_settings=dict(_PLANNING)
    )
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    except (asyncpg.PostgresError, *LOST) as error:
        raise Unavailable(
            Code.LEDGER_UNAVAILABLE, f"Postgres: {error or type(error).__name__}"
        ) from error
    finally:
        connection.terminate()


async def _feed(connection: Connection, verifier: Verifier, wanted: set[int]) -> dict[int, bytes]:
    """Give the verifier every row. Returns the hashes at the wanted places."""
    found = {}
    cursor = await connection.cursor("SELECT * FROM entries ORDER BY seq")
    while chunk := await cursor.fetch(CHUNK_ROWS):
        for row in chunk:
            try:
                entry = rows.entry(row)
            except ValueError:
                verifier.skip(Head(row["seq"], row["hash"]), "its amount is no number")
                continue
            verifier.feed(entry)
            if entry.seq in wanted:
                found[entry.seq] = entry.hash
    return found


async def _accounts(connection: Connection, verifier: Verifier) -> list[Account]:
    found = []
    for row in await connection.fetch("SELECT * FROM accounts ORDER BY account_id"):
        try:
            found.append(rows.account(row))
        except ValueError:
            verifier.find(FindingKind.MISMATCH, 0, f"{row['account_id']}: its balance is no number")
    return found
