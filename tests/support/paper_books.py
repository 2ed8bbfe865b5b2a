"""The ledger in memory for gateway and nodes: real decisions on real books, calls that can be lost at either end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import TypeVar

import grpc
from plm.domain import chain, deciding, ids
from plm.domain.books import Account, Books, Changes
from plm.domain.chain import Entry, Head
from plm.domain.deciding import Command
from plm.domain.errors import Code, PlmError, Refused, Unavailable
from plm.domain.forms import check_form
from plm.domain.mesh import Link, Node
from plm.domain.orders import (
    AttemptOrder,
    CloseOrder,
    HoldOrder,
    PaymentOrder,
    PostOrder,
    RefuseOrder,
)
from plm.domain.payments import Attempt, Payment
from plm.domain.registering import links_of
from plm.domain.settling import view
from plm.transport.errors import STATUS_OF, from_rpc, metadata_of
from plm.wire import plm_pb2 as pb
from support import demo_mesh, virtual_time

LATE_S = 0.5
CALL_S = 0.003
_T = TypeVar("_T")


class Fault(Enum):
    """What becomes of one call."""

    NONE = 0
    LOST_REQUEST = 1  # it never arrives
    LOST_ANSWER = 2  # it is carried out, and nobody hears of it
    LATE = 3  # it is carried out when its caller has long given up


# Asked before each call: who calls, and what. A test counts, fails or delays here.
Weather = Callable[[str, str], Awaitable[Fault]]


async def fair(_caller: str, _method: str) -> Fault:
    """Nothing goes wrong."""
    return Fault.NONE


def losing(is_lost: Callable[[str, str], bool]) -> Weather:
    """Weather in which a call takes a moment, and one that meets the condition (who, what) never arrives."""

    async def weather(caller: str, method: str) -> Fault:
        await asyncio.sleep(CALL_S)
        return Fault.LOST_REQUEST if is_lost(caller, method) else Fault.NONE

    return weather


def as_it_arrives(error: PlmError) -> PlmError:
    """What the wire makes of an error: the code is sent, the family follows from it."""
    none, sent = grpc.aio.Metadata(), grpc.aio.Metadata(*metadata_of(error))
    status = grpc.aio.AioRpcError(STATUS_OF[error.code], none, sent, error.detail, "")
    return from_rpc(status, Code.LEDGER_UNAVAILABLE)


class PaperBooks:
    """The ledger in memory: one writer, its chain, deadlines that pass, and the calls of gateway and nodes."""

    def __init__(self, founding: Iterable[Command] | None = None) -> None:
        self.books = Books()
        self.chain: list[Entry] = []
        self.calls: list[str] = []
        self.weather: Weather = fair
        for command in demo_mesh.founding() if founding is None else founding:
            self._write(command, 0)

    def as_seen_by(self, caller: str) -> "LedgerCalls":
        """The ledger over the connection of one process."""
        return LedgerCalls(self, caller)

    def decide(self, command: Command) -> deciding.Answer:
        """One batch of one command, after what has expired by now."""
        check_form(command)
        now_ms = virtual_time.now_ms()
        for order in deciding.expired(self.books, now_ms):
            self._write(order, now_ms)
        return self._write(command, now_ms)

    def _write(self, command: Command, now_ms: int) -> deciding.Answer:
        answer = deciding.decide(self.books, command, now_ms)
        head = Head(self.chain[-1].seq, self.chain[-1].hash) if self.chain else Head()
        entries = chain.append(head, self.books.changes.drafts, now_ms, 1)
        deciding.seal(self.books, entries)
        self.chain += entries
        self.books.changes = Changes()
        return deciding.sealed(self.books, answer)

    def expire(self) -> None:
        """What the writer does at each tick."""
        now_ms = virtual_time.now_ms()
        for order in deciding.expired(self.books, now_ms):
            self._write(order, now_ms)

    def account(self, account_id: str) -> Account:
        """An account as it stands."""
        return self.books.accounts[account_id]

    def payment(self, payment_id: str) -> Payment:
        """A payment as it stands."""
        return view(self.books, self.books.payment(payment_id))


class LedgerCalls:
    """What one process may call; every call passes through the weather."""

    def __init__(self, ledger: PaperBooks, caller: str) -> None:
        self._ledger = ledger
        self._caller = caller

    async def _call(self, method: str, answer: Callable[[], _T]) -> _T:
        self._ledger.calls.append(method)
        fault = await self._ledger.weather(self._caller, method)
        lost = Unavailable(Code.LEDGER_UNAVAILABLE, "nobody answered", effect_unknown=True)
        if fault is Fault.LATE:
            asyncio.get_running_loop().call_later(LATE_S, self._too_late, answer)
        if fault in (Fault.LOST_REQUEST, Fault.LATE):
            raise lost
        try:
            found = answer()
        except PlmError as error:
            raise as_it_arrives(error) from error
        if fault is Fault.LOST_ANSWER:
            raise lost
        return found

    @staticmethod
    def _too_late(answer: Callable[[], object]) -> None:
        with contextlib.suppress(PlmError):
            answer()

    async def _payment(self, method: str, order: PaymentOrder | RefuseOrder) -> Payment:
        answer = await self._call(method, lambda: self._ledger.decide(order))
        assert isinstance(answer, Payment)
        return answer

    async def _attempt(
        self, method: str, order: AttemptOrder | HoldOrder | PostOrder | CloseOrder
    ) -> Attempt:
        answer = await self._call(method, lambda: self._ledger.decide(order))
        assert isinstance(answer, Attempt)
        return answer

    async def begin_payment(self, order: PaymentOrder) -> Payment:
        return await self._payment("begin_payment", order)

    async def begin_attempt(self, order: AttemptOrder) -> Attempt:
        return await self._attempt("begin_attempt", order)

    async def hold(self, payment_id: str, number: int, hop: int) -> str:
        await self._attempt("hold", HoldOrder(payment_id, number, hop, self._caller))
        return ids.hold_id(payment_id, number, hop)

    async def post_attempt(
        self, payment_id: str, number: int, hold_ids: tuple[str, ...]
    ) -> Attempt:
        return await self._attempt(
            "post_attempt", PostOrder(payment_id, number, hold_ids, self._caller)
        )

    async def close_attempt(self, order: CloseOrder) -> Attempt:
        return await self._attempt("close_attempt", order)

    async def refuse_payment(self, order: RefuseOrder) -> Payment:
        return await self._payment("refuse_payment", order)

    async def get_payment(self, payment_id: str) -> Payment:
        def answer() -> Payment:
            self._ledger.expire()
            return self._ledger.payment(payment_id)

        return await self._call("get_payment", answer)

    async def nodes(self) -> list[Node]:
        return await self._call("nodes", self._nodes)

    async def snapshot(self) -> tuple[list[Node], list[Link], int]:
        nodes = await self._call("snapshot", self._nodes)
        enabled = [node for node in nodes if node.enabled]
        return enabled, [link for node in enabled for link in node.links], 0

    def _nodes(self) -> list[Node]:
        books = self._ledger.books
        return [
            Node(
                node.node_id, node.role, node.currency, node.registration, node.version,
                node.enabled, tuple(links_of(books, node_id)),
            )
            for node_id, node in sorted(books.nodes.items())
        ]  # fmt: skip

    async def balance(self, account_id: str) -> pb.Balance:
        def answer() -> pb.Balance:
            account = self._ledger.books.accounts.get(account_id)
            if account is None:
                raise Refused(Code.UNKNOWN_ACCOUNT, f"no account {account_id!r}")
            return pb.Balance(
                account_id=account_id, owner=account.owner, currency=account.currency,
                kind=account.kind, posted=str(account.posted), held=str(account.held),
                available=str(account.available),
            )  # fmt: skip

        return await self._call("balance", answer)

    async def entries(self, account_id: str, after_seq: int, limit: int) -> tuple[list[Entry], int]:
        entries = self._ledger.chain
        found = [
            entry
            for entry in entries
            if entry.seq > after_seq and account_id in (entry.draft.debit, entry.draft.credit)
        ]
        return await self._call("entries", lambda: (found[:limit], len(entries)))

    async def verify(self) -> pb.VerifyReply:
        entries = self._ledger.chain
        reply = pb.VerifyReply(
            ok=True, entries=len(entries), head_seq=len(entries), head_hash=entries[-1].hash,
            sums={"USD": "0", "EUR": "0"},
        )  # fmt: skip
        return await self._call("verify", lambda: reply)
