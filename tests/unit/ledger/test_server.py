"""The gRPC face of the ledger: a caller may hang up at any await, and its call's context is freed then."""

import asyncio
import contextlib
from typing import Any

import pytest
from plm.domain import ids
from plm.domain.books import Books
from plm.domain.deciding import Command, decide
from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.forms import check_form
from plm.domain.orders import CloseOrder
from plm.domain.payments import Payment
from plm.domain.settling import view
from plm.ledger import server
from plm.ledger.server import LedgerServer
from plm.wire import plm_pb2 as pb
from support import demo_mesh

CALLS = [
    ("RegisterNode", pb.RegisterNodeRequest(), server.OPERATOR),
    ("RegisterLink", pb.RegisterLinkRequest(declared_volume="1"), server.OPERATOR),
    ("DisableNode", pb.DisableNodeRequest(), server.OPERATOR),
    ("ListNodes", pb.ListNodesRequest(), server.OPERATOR),
    ("GraphSnapshot", pb.GraphSnapshotRequest(), server.GATEWAY),
    ("BeginPayment", pb.BeginPaymentRequest(amount="1"), server.GATEWAY),
    ("BeginAttempt", pb.BeginAttemptRequest(), server.GATEWAY),
    ("Hold", pb.HoldRequest(), ids.node_spiffe("a")),
    ("PostAttempt", pb.PostAttemptRequest(), ids.node_spiffe("a")),
    ("CloseAttempt", pb.CloseAttemptRequest(attempt=1), server.GATEWAY),
    ("CloseAttempt", pb.CloseAttemptRequest(attempt=1), ids.node_spiffe("b")),
    ("RefusePayment", pb.RefusePaymentRequest(), server.GATEWAY),
    ("GetPayment", pb.GetPaymentRequest(), server.GATEWAY),
    ("GetPayment", pb.GetPaymentRequest(), ids.node_spiffe("a")),
    ("GetPayment", pb.GetPaymentRequest(), ids.node_spiffe("b")),
    ("Transfer", pb.TransferRequest(amount="1"), server.OPERATOR),
    ("GetBalance", pb.GetBalanceRequest(), server.GATEWAY),
    ("ListEntries", pb.ListEntriesRequest(), server.GATEWAY),
    ("Verify", pb.VerifyRequest(), server.GATEWAY),
]


class Call:
    """The context of a call that hangs up while it waits: gRPC then frees it, and a read of it crashes the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.is_freed = False
        self.reads: list[bool] = []  # of each: whether it came too late

    def auth_context(self) -> dict[str, list[bytes]]:
        self.reads.append(self.is_freed)
        return {"x509_subject_alternative_name": [self._name.encode()]}


def payment() -> Payment:
    books = Books()
    for command in [*demo_mesh.founding(), *demo_mesh.whole_payment("p")]:
        decide(books, command, 0)
    return view(books, books.payments["p"])


class Waiting:
    """Writer, reader and auditor in one: while any of them is waited for, the caller hangs up."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def _fail(self, *_arguments: object) -> Any:
        self._call.is_freed = True
        raise Unavailable(Code.LEDGER_UNAVAILABLE, "away")

    nodes = snapshot = account = entries = verify = _fail

    async def submit(self, _command: Command) -> Any:
        return await self._fail()

    async def payment(self, _payment_id: str) -> Payment:
        self._call.is_freed = True
        return payment()


@pytest.mark.parametrize(("method", "request_", "caller"), CALLS)
def test_who_calls_is_read_once_and_before_any_wait(
    method: str, request_: object, caller: str
) -> None:
    call = Call(caller)
    waiting: Any = Waiting(call)

    async def story() -> None:
        with contextlib.suppress(PlmError):
            await getattr(LedgerServer(waiting, waiting, waiting), method)(request_, call)

    asyncio.run(story())
    assert call.is_freed, "it never came to waiting"
    assert call.reads == [False]


def test_every_call_is_looked_at() -> None:
    methods = {name for name in vars(LedgerServer) if name[0].isupper()}
    assert methods == {method for method, *_ in CALLS}


@pytest.mark.parametrize("caller", [server.GATEWAY, ids.node_spiffe("b")])
@pytest.mark.parametrize("words", ["a\0b", "w" * 900_000, "", "why"])
def test_no_words_keep_an_attempt_from_being_closed(words: str, caller: str) -> None:
    """Its holds must go back, and whoever asks must hear whether it is posted."""
    asked: list[Command] = []

    class Deciding(Waiting):
        async def submit(self, command: Command) -> Any:
            check_form(command)
            asked.append(command)
            return payment().attempts[0]

    call = Call(caller)
    deciding: Any = Deciding(call)
    request = pb.CloseAttemptRequest(
        payment_id="p", attempt=1, reason=words, failed_node=words or "b"
    )
    reply = asyncio.run(LedgerServer(deciding, deciding, deciding).CloseAttempt(request, call))
    assert reply.state == pb.ATTEMPT_STATE_POSTED
    [order] = asked
    assert isinstance(order, CloseOrder)
    assert order.failed_node in {"", "why", "b"}
