"""The ledger's client over a real connection: what each call sends, what it makes of the answer, how errors arrive."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from plm.domain import ids
from plm.domain.chain import Entry, EntryDraft
from plm.domain.errors import Code, Conflict, PlmError, Refused, Unavailable
from plm.domain.mesh import Link, LinkPolicy, Node, Registration
from plm.domain.orders import (
    AttemptOrder,
    CloseOrder,
    Hop,
    PaymentOrder,
    RefuseOrder,
    TransferOrder,
)
from plm.domain.payments import Attempt, AttemptState, Hold, HoldState, Payment, PaymentState
from plm.stores.ledger import LedgerClient, LedgerClientSettings
from plm.transport.channels import Channels
from plm.transport.server import GrpcServer
from plm.wire import codec
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import add_LedgerServicer_to_server
from support.echo_node import GATEWAY_NAMES, Mounted
from support.leaves import new_authority

MOST = 10**38 - 1
HOP = Hop("a", "b", MOST, LinkPolicy(3, 4, 5))
ORDER = PaymentOrder("p", "shop", bytes(range(32)), "a", "b", MOST, "USD")
HOLD = Hold("p/1/0", 0, HoldState.POSTED, 7, b"\x01" * 32)
ATTEMPT = Attempt("p", 1, AttemptState.POSTED, (HOP,), 1, 2, 3, "", "", (HOLD,))
# The body's hash stays with the ledger.
PAYMENT = Payment(
    PaymentOrder("p", "shop", b"", "a", "b", MOST, "USD"),
    PaymentState.SETTLED, 1, 2, "", "", (ATTEMPT,),
)  # fmt: skip
LINK = Link("a", "b", LinkPolicy(3), 5, Registration("", 0), 6, "USD", True, 4)
NODE = Node("a", "hub", "USD", Registration("uid", 2), 3, True, (LINK,))
ENTRY = Entry(1, bytes(32), b"\x02" * 32, EntryDraft("t", "fund", "x", "y", MOST, "USD", "r"), 9, 1)
BALANCE = pb.Balance(account_id="link/a/b", owner="a", posted="-5")


@dataclass
class CannedLedger:
    """Answers each method as told, and remembers what it was asked."""

    replies: dict[str, object] = field(default_factory=dict)
    requests: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, method: str) -> Callable[[Any, Any], Awaitable[object]]:
        async def answer(request: Any, _context: Any) -> object:
            self.requests[method] = request
            reply = self.replies.get(method)
            if isinstance(reply, PlmError):
                raise reply
            if reply is None:
                await asyncio.Event().wait()
            return reply

        return answer


@dataclass(frozen=True)
class Wire:
    """Both ends of a connection."""

    ledger: CannedLedger
    client: LedgerClient


@pytest_asyncio.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    authority = new_authority()
    ours, theirs = Mounted(tmp_path / "ledger"), Mounted(tmp_path / "gateway")
    ours.issue(authority, (ids.service_spiffe("ledger"), "ledger"))
    theirs.issue(authority, GATEWAY_NAMES)
    server, ledger = GrpcServer(ours.tls, 0, "127.0.0.1"), CannedLedger()
    add_LedgerServicer_to_server(ledger, server.server)
    await server.start()
    channels = Channels(theirs.tls)
    settings = LedgerClientSettings(target=f"127.0.0.1:{server.port}", timeout_s=2)
    yield Wire(ledger, LedgerClient(channels, settings))
    await channels.close()
    await server.drain(0)


CALLS: list[tuple[str, Callable[[LedgerClient], Awaitable[object]], object, object, object]] = [
    ("BeginPayment", lambda it: it.begin_payment(ORDER),
     pb.BeginPaymentRequest(payment_id="p", client_id="shop", body_sha256=bytes(range(32)),
                            from_node="a", to_node="b", amount=str(MOST), currency="USD"),
     codec.payment_to_wire(PAYMENT), PAYMENT),
    ("BeginAttempt", lambda it: it.begin_attempt(AttemptOrder("p", 1, (HOP,), 5_000)),
     pb.BeginAttemptRequest(payment_id="p", attempt=1, hops=[codec.hop_to_wire(HOP)], timeout_ms=5_000),
     codec.attempt_to_wire(ATTEMPT), ATTEMPT),
    ("Hold", lambda it: it.hold("p", 1, 0), pb.HoldRequest(payment_id="p", attempt=1),
     pb.HoldReply(hold_id="p/1/0", deadline_ms=4), "p/1/0"),
    ("PostAttempt", lambda it: it.post_attempt("p", 1, ("p/1/0", "p/1/1")),
     pb.PostAttemptRequest(payment_id="p", attempt=1, hold_ids=["p/1/0", "p/1/1"]),
     codec.attempt_to_wire(ATTEMPT), ATTEMPT),
    ("CloseAttempt", lambda it: it.close_attempt(CloseOrder("p", 1, "why", "b")),
     pb.CloseAttemptRequest(payment_id="p", attempt=1, reason="why", failed_node="b"),
     codec.attempt_to_wire(ATTEMPT), ATTEMPT),
    ("RefusePayment", lambda it: it.refuse_payment(RefuseOrder("p", "not_owner", "why")),
     pb.RefusePaymentRequest(payment_id="p", code="not_owner", detail="why"),
     codec.payment_to_wire(PAYMENT), PAYMENT),
    ("GetPayment", lambda it: it.get_payment("p"), pb.GetPaymentRequest(payment_id="p"),
     codec.payment_to_wire(PAYMENT), PAYMENT),
    ("Transfer", lambda it: it.transfer(TransferOrder("t", "x", "y", MOST, "USD")),
     pb.TransferRequest(transfer_id="t", debit_account="x", credit_account="y", amount=str(MOST),
                        currency="USD"),
     pb.TransferReply(transfer_id="t", entry_seq=3, entry_hash=b"h"), (3, b"h")),
    ("GetBalance", lambda it: it.balance("link/a/b"), pb.GetBalanceRequest(account_id="link/a/b"),
     BALANCE, BALANCE),
    ("ListEntries", lambda it: it.entries("x", 2**63 - 1, 1000),
     pb.ListEntriesRequest(account_id="x", after_seq=2**63 - 1, limit=1000),
     pb.ListEntriesReply(entries=[codec.entry_to_wire(ENTRY)], head_seq=8), ([ENTRY], 8)),
    ("ListNodes", lambda it: it.nodes(), pb.ListNodesRequest(),
     pb.ListNodesReply(nodes=[codec.node_to_wire(NODE)]), [NODE]),
    ("GraphSnapshot", lambda it: it.snapshot(), pb.GraphSnapshotRequest(),
     pb.GraphSnapshotReply(nodes=[codec.node_to_wire(NODE)], stream_sequence=5), ([NODE], [LINK], 5)),
]  # fmt: skip
Call = tuple[str, Callable[[LedgerClient], Awaitable[object]], object, object, object]


@pytest.mark.parametrize("call", CALLS, ids=[call[0] for call in CALLS])
async def test_each_call_sends_all_it_was_given_and_reads_all_it_gets(
    wire: Wire, call: Call
) -> None:
    method, ask, request, reply, result = call
    wire.ledger.replies[method] = reply
    assert await ask(wire.client) == result
    assert wire.ledger.requests == {method: request}


@pytest.mark.parametrize("call", CALLS, ids=[call[0] for call in CALLS])
@pytest.mark.parametrize(
    "error",
    [
        Refused(Code.UNKNOWN_PAYMENT, "why"),
        Conflict(Code.ATTEMPT_CLOSED, "why"),
        Unavailable(Code.NOT_LEADER, "why", retry_after_ms=500),
    ],
)
async def test_a_refusal_of_each_call_is_the_ledgers_own(
    wire: Wire, call: Call, error: PlmError
) -> None:
    method, ask, *_ = call
    wire.ledger.replies[method] = error
    with pytest.raises(type(error)) as caught:
        await ask(wire.client)
    assert (caught.value.code, caught.value.detail) == (error.code, "why")


async def test_a_ledger_that_takes_too_long_may_have_done_it(wire: Wire) -> None:
    quick = LedgerClientSettings(target=wire.client._settings.target, timeout_s=0.1)
    with pytest.raises(Unavailable) as caught:
        async with asyncio.timeout(20):
            await LedgerClient(wire.client._channels, quick).get_payment("p")
    assert (caught.value.code, caught.value.effect_unknown) == (Code.DEADLINE_EXCEEDED, True)


async def test_nobody_there_may_have_done_it_too(wire: Wire) -> None:
    gone = LedgerClientSettings(target="127.0.0.1:1")
    with pytest.raises(Unavailable) as caught:
        await LedgerClient(wire.client._channels, gone).get_payment("p")
    assert (caught.value.code, caught.value.effect_unknown) == (Code.LEDGER_UNAVAILABLE, True)


async def test_a_server_of_another_name_is_no_ledger(wire: Wire) -> None:
    wire.ledger.replies["GetPayment"] = codec.payment_to_wire(PAYMENT)
    other = wire.client._settings.model_copy(update={"server_name": "node-a"})
    with pytest.raises(Unavailable):
        await LedgerClient(wire.client._channels, other).get_payment("p")
    assert wire.ledger.requests == {}
