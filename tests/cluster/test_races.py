"""A late commit against a closing attempt, provoked on purpose at the running ledger: one of them wins, never both."""

import asyncio
import hashlib
import random
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from plm.domain.errors import Code
from plm.domain.ids import hold_id, payment_id
from plm.transport.errors import from_rpc
from plm.wire import plm_pb2
from plm.wire.plm_pb2_grpc import LedgerStub
from plmkit.receipts import Order
from support.platform import Platform
from support.wiretap import certificate_folder, forwarded, ledger_as

pytestmark = pytest.mark.cluster

RACES = 60
ROUTE = ("a", "b", "d")
POSTED, CLOSED = plm_pb2.ATTEMPT_STATE_POSTED, plm_pb2.ATTEMPT_STATE_CLOSED


@dataclass(frozen=True)
class Ring:
    """The ledger under three identities, and the policies of the demo mesh's links."""

    gateway: LedgerStub
    nodes: dict[str, LedgerStub]
    policies: dict[tuple[str, str], plm_pb2.LinkPolicy]

    async def open_attempt(self, payment: str) -> None:
        """A payment of 1.00 USD over A-B-D with both holds taken, one step before its commit."""
        await self.gateway.BeginPayment(
            plm_pb2.BeginPaymentRequest(
                payment_id=payment,
                client_id="race",
                body_sha256=hashlib.sha256(payment.encode()).digest(),
                from_node="a",
                to_node="d",
                amount="100",
                currency="USD",
            )
        )
        fee = int(self.policies["b", "d"].base_fee)
        amounts = {("a", "b"): 100 + fee, ("b", "d"): 100}
        hops = [
            plm_pb2.Hop(
                from_node=sender,
                to_node=receiver,
                amount=str(amount),
                policy=self.policies[sender, receiver],
            )
            for (sender, receiver), amount in amounts.items()
        ]
        await self.gateway.BeginAttempt(
            plm_pb2.BeginAttemptRequest(payment_id=payment, attempt=1, hops=hops, timeout_ms=10_000)
        )
        for hop, node in enumerate(ROUTE[:-1]):
            await self.nodes[node].Hold(plm_pb2.HoldRequest(payment_id=payment, attempt=1, hop=hop))

    async def post(self, payment: str) -> str:
        """The first node's commit: `posted`, or the code of its refusal."""
        request = plm_pb2.PostAttemptRequest(
            payment_id=payment, attempt=1, hold_ids=[hold_id(payment, 1, hop) for hop in (0, 1)]
        )
        try:
            attempt = await self.nodes["a"].PostAttempt(request)
        except grpc.aio.AioRpcError as error:
            return str(from_rpc(error, Code.LEDGER_UNAVAILABLE).code)
        assert attempt.state == POSTED
        return "posted"

    async def close(self, payment: str) -> str:
        """The gateway's tombstone: the answer says which of the two it is."""
        attempt = await self.gateway.CloseAttempt(
            plm_pb2.CloseAttemptRequest(payment_id=payment, attempt=1, reason="race")
        )
        return {POSTED: "posted", CLOSED: "closed"}[attempt.state]

    async def outcome(self, payment: str) -> tuple[str, set[str]]:
        """How the attempt ended, and how its holds did."""
        found = await self.gateway.GetPayment(plm_pb2.GetPaymentRequest(payment_id=payment))
        [attempt] = found.attempts
        state = {POSTED: "posted", CLOSED: "closed"}[attempt.state]
        return state, {hold.state for hold in attempt.holds}


@pytest_asyncio.fixture
async def ring(platform: Platform, tmp_path: Path) -> AsyncIterator[Ring]:
    kubectl = platform.kubectl
    folders = {
        name: certificate_folder(kubectl, f"{name}-tls", tmp_path)
        for name in ("gateway", "node-a", "node-b")
    }
    with forwarded(kubectl, "service/ledger", 7443) as address:
        async with (
            ledger_as(folders["gateway"], address) as gateway,
            ledger_as(folders["node-a"], address) as node_a,
            ledger_as(folders["node-b"], address) as node_b,
        ):
            snapshot = await gateway.GraphSnapshot(plm_pb2.GraphSnapshotRequest())
            policies = {
                (link.from_node, link.to_node): link.policy
                for node in snapshot.nodes
                for link in node.links
            }
            yield Ring(gateway, {"a": node_a, "b": node_b}, policies)


def new_payment() -> str:
    return payment_id("race", uuid.uuid4().hex)


async def test_a_commit_after_the_tombstone_is_refused(ring: Ring) -> None:
    payment = new_payment()
    await ring.open_attempt(payment)
    assert await ring.close(payment) == "closed"
    assert await ring.post(payment) == "attempt_closed"
    assert await ring.outcome(payment) == ("closed", {"voided"})


async def test_a_tombstone_after_the_commit_answers_posted(ring: Ring) -> None:
    payment = new_payment()
    await ring.open_attempt(payment)
    assert await ring.post(payment) == "posted"
    assert await ring.close(payment) == "posted"
    assert await ring.post(payment) == "posted"
    assert await ring.outcome(payment) == ("posted", {"posted"})


async def test_when_both_come_at_once_both_are_told_the_same(
    ring: Ring, tell: Callable[[str], None]
) -> None:
    """Sent at the same moment, each a little ahead in turn: whoever wins, both answers and the books agree."""
    chance = random.Random(11)  # noqa: S311 - repeatable, not secret
    winners = []
    for number in range(RACES):
        payment = new_payment()
        await ring.open_attempt(payment)
        racers = [ring.post(payment), ring.close(payment)]
        if number % 2:
            racers.reverse()
        head_start_s = chance.uniform(0, 0.004)
        first = asyncio.create_task(racers[0])
        await asyncio.sleep(head_start_s)
        answers = await asyncio.gather(first, racers[1])
        posted, closed = reversed(answers) if number % 2 else answers
        state, holds = await ring.outcome(payment)
        assert (posted, closed, holds) in {
            "posted": [("posted", "posted", {"posted"})],
            "closed": [("attempt_closed", "closed", {"voided"})],
        }[state]
        winners.append(state)
    tell(f"races: {winners.count('posted')} posted, {winners.count('closed')} closed, none both")
    assert set(winners) == {"posted", "closed"}, "one side always won: the race did not bite"


async def test_a_hold_that_comes_after_the_tombstone_is_refused(
    ring: Ring, platform: Platform
) -> None:
    """Through the mesh: B stops with its hold in hand until A has given up, then goes on, too late."""
    async with platform.api() as api:
        await api.arm_hold_point("b", hold_ms_max=2_500)
        payment = await api.pay(Order("a", "d", "1.00", "USD"), f"late-{uuid.uuid4().hex}")
        assert payment.attempts[0].route == ROUTE
        assert [attempt.state for attempt in payment.attempts] == ["closed", "posted"]
        await api.hold_point("b", wait_ms=0)
        again = await api.payment(payment.payment_id)
    assert again.raw == payment.raw
    assert {hold.state for hold in again.attempts[0].holds} == {"voided"}


async def test_another_nodes_identity_takes_no_hold_and_commits_nothing(ring: Ring) -> None:
    payment = new_payment()
    await ring.open_attempt(payment)
    for call in (
        ring.nodes["b"].Hold(plm_pb2.HoldRequest(payment_id=payment, attempt=1, hop=0)),
        ring.nodes["b"].PostAttempt(
            plm_pb2.PostAttemptRequest(
                payment_id=payment, attempt=1, hold_ids=[hold_id(payment, 1, hop) for hop in (0, 1)]
            )
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert from_rpc(refused.value, Code.LEDGER_UNAVAILABLE).code is Code.NOT_OWNER
    assert await ring.close(payment) == "closed"
