"""`plm demo` as typed: what was shown before one that cannot begin, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plmkit.demo
import pytest
from plmkit.console import ExitCode, KitError
from plmkit.demo import Report, Times
from plmkit.receipts import Payment, Verdict
from support.fake_gateway import running_gateway
from support.kit_process import Kit
from support.programs import put


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """An installation with credentials and a kubectl: all that is asked for before a demo begins."""
    put(tmp_path / "cache" / "tools" / "bin", "kubectl", "exit 1")
    kit = Kit(tmp_path)
    kit.state.mkdir()
    (kit.state / "kubeconfig").touch()
    with running_gateway(kit.state):
        pass
    return kit


def report(*faults: str) -> Report:
    raw = {"paymentId": "pay_1", "state": "settled", "amount": "10000.00", "currency": "USD"}
    payment = Payment.read({**raw, "from": "a", "to": "d", "fee": "3.00", "route": ["a", "c", "d"]})
    verdict = {"ok": True, "entries": 9, "headSeq": 9, "headHash": "ff", "anchoredSeq": 9}
    more: dict[str, Any] = {"unanchored": 0, "findings": [], "sums": {}, "elapsedMs": 1}
    return Report(
        victim="b",
        how="a fake kill",
        cheapest=("a", "b", "d"),
        payment=payment,
        times=Times(1, 2, 3, 4, 5),
        entries=(),
        verdict=Verdict.read(verdict | more),
        faults=faults,
    )


Play = Callable[..., None]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Demos that end as told, one after the other."""

    def prepare(*ends: Report | KitError) -> None:
        following = iter(ends)

        async def run_demo(*_: object) -> Report:
            end = next(following)
            if isinstance(end, KitError):
                raise end
            return end

        monkeypatch.setattr(plmkit.demo, "run_demo", run_demo)

    return prepare


def test_a_demo_that_cannot_begin_takes_nothing_from_those_before_it(kit: Kit, play: Play) -> None:
    """Link A-C is empty after a hundred of them: what the others showed is data."""
    play(report(), report(), KitError("there is no second route", "plm status"))
    done = kit.call("demo", "--times", "5", "-o", "json")
    assert done.returncode == ExitCode.CHECK_FAILED
    assert "plm: there is no second route\n  try: plm status\n" in done.stderr
    assert [each["payment"]["paymentId"] for each in json.loads(done.stdout)] == ["pay_1"] * 2


def test_a_first_demo_that_cannot_begin_gives_no_data(kit: Kit, play: Play) -> None:
    play(KitError("there is no second route", "plm status"))
    assert kit.call("demo", "-o", "json").stdout == ""


def test_a_demo_that_is_not_as_claimed_ends_with_one_and_says_why(kit: Kit, play: Play) -> None:
    play(report(), report("the ledger does not verify"))
    done = kit.call("demo", "--times", "2")
    assert done.returncode == ExitCode.CHECK_FAILED
    assert done.stdout.count("10000.00 USD from A to D, fee 3.00: settled") == 2
    assert done.stdout.count("NOT AS CLAIMED  the ledger does not verify") == 1
    play(report())
    assert kit.call("demo").returncode == ExitCode.GOOD
