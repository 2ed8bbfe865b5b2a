"""The demo against a fake mesh: it kills while the payment is held, and reports whatever is not as it claims."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from plmkit.console import KitError
from plmkit.demo import run_demo
from plmkit.receipts import Order, Payment, Verdict
from support import virtual_time


def attempt(number: int, state: str, *route: str) -> dict[str, Any]:
    hold_state = "posted" if state == "posted" else "voided"
    return {
        "attempt": number,
        "state": state,
        "route": list(route),
        "reason": "node_unreachable" if state == "closed" else "",
        "openedAtMs": 1_000 * number,
        "endedAtMs": 1_000 * number + 500,
        "holds": [
            {
                "hop": hop,
                "holdId": f"pay_1/{number}/{hop}",
                "state": hold_state,
                "entrySeq": 100 * number + hop,
                "entryHash": "00",
            }
            for hop in range(len(route) - 1)
        ],
    }


@dataclass
class FakeMesh:
    """A gateway and a victim in one: the payment waits at the hold point until the victim is killed."""

    routes_found: list[list[str]] = field(
        default_factory=lambda: [["a", "b", "d"], ["a", "c", "d"]]
    )
    attempts: list[dict[str, Any]] = field(
        default_factory=lambda: [
            attempt(1, "closed", "a", "b", "d"),
            attempt(2, "posted", "a", "c", "d"),
        ]
    )
    avoids_victim: bool = False
    is_stuck: bool = False  # the payment gets nowhere
    deaf: bool = False  # to the disarming
    is_immortal: bool = False
    chain_ok: bool = True
    how: str = "a fake kill"
    log: list[str] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    async def routes(self, order: Order, *, k: int = 3) -> Mapping[str, Any]:
        return {"routes": [{"nodes": route} for route in self.routes_found]}

    async def arm_hold_point(self, node: str, *, hold_ms_max: int) -> Mapping[str, Any]:
        if hold_ms_max == 1 and self.deaf:
            await asyncio.Event().wait()
        self.log.append(f"armed {node}" if hold_ms_max > 1 else f"disarmed {node}")
        return {"state": "armed"}

    async def hold_point(self, node: str, *, wait_ms: int) -> Mapping[str, Any]:
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self.avoids_victim else wait_ms / 1000):
                await self.reached.wait()
        return {"state": "reached" if self.reached.is_set() else "armed"}

    async def pay(self, order: Order, key: str) -> Payment:
        self.log.append("paying")
        if self.is_stuck:
            await asyncio.Event().wait()
        if not self.avoids_victim:
            self.reached.set()
            await self.killed.wait()
        return Payment.read(
            {
                "paymentId": "pay_1",
                "state": "settled",
                **order.body(),
                "fee": "3.00",
                "route": self.attempts[-1]["route"],
                "attempts": self.attempts,
                "createdAtMs": 1_000,
                "endedAtMs": 2_500,
            }
        )

    async def account(
        self, account_id: str, *, after_seq: int = 0, limit: int = 100
    ) -> Mapping[str, Any]:
        _, sender, receiver = account_id.split("/")
        own = {"seq": 200, "ref": "pay_1/2/0", "debit": f"link/{sender}/{receiver}"}
        return {"entries": [own, {"seq": 201, "ref": "pay_other/1/0"}]}

    async def verify(self) -> Verdict:
        return Verdict.read(
            {
                "ok": self.chain_ok,
                "entries": 9,
                "headSeq": 9,
                "headHash": "ff",
                "anchoredSeq": 9,
                "unanchored": 0,
                "findings": [],
                "sums": {"USD": "0.00"},
                "elapsedMs": 1,
            }
        )

    async def kill(self) -> None:
        assert self.reached.is_set(), "killed before the payment was held"
        if self.is_immortal:
            raise KitError("ctr failed", "plm status")
        self.log.append("killed")
        self.killed.set()

    async def wait_until_back(self) -> None:
        self.log.append("back")


async def demo(mesh: FakeMesh) -> Any:
    said: list[str] = []
    report = await run_demo(mesh, lambda node: mesh, said.append)
    return report, said


async def test_the_node_is_killed_while_it_holds_the_payment() -> None:
    mesh = FakeMesh()
    report, said = await demo(mesh)
    assert mesh.log == ["armed b", "paying", "killed", "back"]
    assert report.faults == ()
    assert said == []
    assert report.times.killed <= report.times.settled <= report.times.ready_again
    # The ledger's clock: the first attempt was closed 1 000 ms before the payment ended.
    assert report.times.settled - report.times.caught == pytest.approx(1_000)


async def test_only_this_payments_entries_are_shown_each_once() -> None:
    report, _ = await demo(FakeMesh())
    assert [entry["seq"] for entry in report.entries] == [200]


async def test_another_cheapest_route_is_said_and_its_node_is_killed() -> None:
    mesh = FakeMesh(
        routes_found=[["a", "c", "d"], ["a", "b", "d"]],
        attempts=[attempt(1, "closed", "a", "c", "d"), attempt(2, "posted", "a", "b", "d")],
    )
    report, said = await demo(mesh)
    assert mesh.log[0] == "armed c"
    assert "A-C-D is cheaper" in said[0]
    assert report.faults == ()


@pytest.mark.parametrize("found", [[], [["a", "d"]], [["a", "b", "d"]]])
async def test_without_two_routes_nobody_is_killed(found: list[list[str]]) -> None:
    mesh = FakeMesh(routes_found=found)
    with pytest.raises(KitError, match="route"):
        await demo(mesh)
    assert mesh.log == []


async def test_a_payment_that_went_elsewhere_kills_nobody() -> None:
    mesh = FakeMesh(avoids_victim=True)
    with pytest.raises(KitError, match="never came to B"):
        await demo(mesh)
    assert mesh.log == ["armed b", "paying", "disarmed b"]


@pytest.mark.parametrize("deaf", [False, True])
def test_a_payment_that_gets_nowhere_ends_the_demo_with_a_sentence(*, deaf: bool) -> None:
    """And what was armed is disarmed, or at least no more than tried for a moment."""
    mesh = FakeMesh(is_stuck=True, deaf=deaf)

    async def story() -> int:
        with pytest.raises(KitError, match="did not come to B within 10 s") as told:
            await demo(mesh)
        assert "plm status" in told.value.cure
        return virtual_time.now_ms()

    assert virtual_time.run(story()) == (12_000 if deaf else 10_000)
    assert mesh.log == ["armed b", "paying", *(["disarmed b"] * (not deaf))]


async def test_an_interrupted_demo_leaves_nothing_armed() -> None:
    """The next payment over B is somebody else's."""
    mesh = FakeMesh(is_stuck=True)
    running = asyncio.create_task(demo(mesh))
    for _ in range(20):
        await asyncio.sleep(0)
    assert mesh.log == ["armed b", "paying"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert mesh.log[-1] == "disarmed b"


async def test_a_kill_that_fails_is_told_and_what_was_reached_is_not_armed_again() -> None:
    mesh = FakeMesh(is_immortal=True)
    with pytest.raises(KitError, match="ctr failed"):
        await demo(mesh)
    assert mesh.log == ["armed b", "paying"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"chain_ok": False}, "does not verify"),
        ({"attempts": [attempt(1, "posted", "a", "b", "d")]}, "was not closed"),
        (
            {
                "attempts": [
                    attempt(1, "posted", "a", "b", "d"),
                    attempt(2, "posted", "a", "c", "d"),
                ]
            },
            "2 attempts are posted",
        ),
        (
            {
                "attempts": [
                    attempt(1, "closed", "a", "c", "d"),
                    attempt(2, "posted", "a", "c", "d"),
                ]
            },
            "did not go over A-B-D",
        ),
        (
            {
                "attempts": [
                    attempt(1, "closed", "a", "b", "d"),
                    attempt(2, "posted", "a", "b", "d"),
                ]
            },
            "contains the killed node",
        ),
        ({"attempts": [attempt(1, "closed", "a", "b", "d")]}, "0 attempts are posted"),
    ],
)
async def test_whatever_is_not_as_claimed_is_reported(changes: dict[str, Any], fault: str) -> None:
    report, _ = await demo(FakeMesh(**changes))
    assert any(fault in found for found in report.faults), report.faults


async def test_a_hold_left_behind_by_a_closed_attempt_is_reported() -> None:
    mesh = FakeMesh()
    mesh.attempts[0]["holds"][0]["state"] = "pending"
    report, _ = await demo(mesh)
    assert any("not voided" in found for found in report.faults)
