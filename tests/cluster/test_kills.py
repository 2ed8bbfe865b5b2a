"""Nodes killed at random under a stream of payments: nothing acknowledged is lost, doubled or stranded."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plmkit.paying import FileRun
from plmkit.payment_file import Line
from plmkit.receipts import Order
from plmkit.result_file import Journal
from support.checker import check
from support.history import History, RecordedPayer, read_history
from support.nemesis import Nemesis, targets
from support.payments import Kind, make_payments
from support.platform import Platform
from support.streams import pay_beside
from support.verdicts import Bite, Outcome
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

SEED = 4711
ROUNDS = 15
PAUSE_S = 2.0
CONCURRENCY = 16
# Whatever consents to being killed: each bites at least once.
KINDS = frozenset({"mesh-node", "ledger", "gateway"})


def stream(nodes: list[str]) -> Iterator[Line]:
    """Payments without end; the run stops when the nemesis has had its rounds."""
    for block in range(1_000):
        for made in make_payments(SEED + block, nodes, 500):
            if made.kind is Kind.GOOD:
                key, sender, receiver, amount, currency = made.cells
                yield Line(
                    block * 500 + made.number, key, Order(sender, receiver, amount, currency)
                )


async def strike(nemesis: Nemesis) -> None:
    """Kill, let the stream run into it, prove the bite, again."""
    for _ in range(ROUNDS):
        victims = await asyncio.to_thread(nemesis.strike)
        await asyncio.sleep(PAUSE_S)
        await asyncio.to_thread(nemesis.prove, victims)


async def test_random_kills_lose_nothing_and_double_nothing(
    mesh50: list[str],
    platform: Platform,
    tmp_path: Path,
    history_path: Path,
    tell: Callable[[str], None],
) -> None:
    before = platform.read_ledger()
    assert {target.kind for target in targets(platform.kubectl)} == KINDS
    with History(history_path) as history, Journal(tmp_path / "results.csv") as journal:
        nemesis = Nemesis(
            random.Random(SEED),  # noqa: S311 - repeatable, not secret
            platform.kubectl,
            platform.cluster.kill_container_task,
            history,
            victims_max=3,
        )
        async with platform.api(connections_max=CONCURRENCY) as api:
            payer = RecordedPayer(api, history)
            run = FileRun(payer, journal, asyncio.Event(), lambda *_: None, CONCURRENCY)
            tally = await pay_beside(strike(nemesis), run, stream(mesh50))
            # 30 s are promised for the end of every hold, whatever died.
            await asyncio.to_thread(wait_until, platform.is_quiet, 30, "no hold is pending")
            await asyncio.to_thread(wait_until, platform.all_nodes_ready, 60, "all are Ready")
    final = platform.read_ledger(before=before)
    verdict = check(
        read_history(history_path),
        final,
        Bite(faults_min=ROUNDS, ok_min=100, rerouted_min=5, kinds=KINDS),
        client_id="operator",
    )
    faults = (event.value for event in read_history(history_path) if event.kind == "fault")
    tell(f"kills: {dict(Counter(fault['kind'] for fault in faults if fault['bit']))} bit")
    tell(
        f"kills (seed {SEED}): {verdict}; {tally.per_second:.1f} payments/s, "
        f"p50 {tally.percentile_ms(50):.0f} ms, p99 {tally.percentile_ms(99):.0f} ms"
    )
    assert verdict.outcome is Outcome.VALID, str(verdict)
