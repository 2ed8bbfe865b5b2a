"""A file of 2 000 payments over the 50-node mesh, bad lines among them, paid as a person pays it."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from plm.domain.ids import payment_id
from plm.domain.money import parse_amount
from support.payments import CODES, Kind, MadeLine, as_csv, make_payments
from support.platform import Platform
from support.verdicts import FinalRead, PostedHop

pytestmark = pytest.mark.cluster

SEED = 2026
COUNT = 2_000


def results_of(path: Path) -> dict[int, dict[str, str]]:
    """The result file: the last row of a line counts."""
    with path.open(newline="") as file:
        return {int(row["line"]): row for row in csv.DictReader(file)}


def test_every_line_is_settled_or_refused_with_the_right_reason(
    mesh50: list[str], platform: Platform, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    lines = make_payments(SEED, mesh50, COUNT)
    path = tmp_path / "payments.csv"
    path.write_text(as_csv(lines))
    before = platform.read_ledger()

    # Lines that were refused make the exit code 1.
    summary = platform.plm_json("pay", "--file", str(path), "--concurrency", "32", exit_code=1)
    tell(f"payment file (seed {SEED}): {summary}")

    results = results_of(tmp_path / "payments.results.csv")
    assert sorted(results) == [line.number for line in lines]
    wrong = [line for line in lines if not is_right(line, results[line.number])]
    assert [(line, results[line.number]) for line in wrong] == []
    settled = Counter(row["state"] for row in results.values())
    assert settled["settled"] > COUNT * 0.8, settled

    after = platform.read_ledger(before=before)
    assert after.chain_ok
    assert after.pending_holds == []
    assert sums_of(after) == {"USD": 0}
    assert differences(results, after) == []

    again = platform.plm_json("pay", "--file", str(path), exit_code=1)
    assert again["done_before"] == COUNT - settled["unfinished"]
    repeated = platform.read_ledger().posted
    unfinished = [row for row in results.values() if row["state"] == "unfinished"]
    open_before = {payment_id("operator", row["idempotency_key"]) for row in unfinished}
    assert [hop for hop in repeated if hop.payment not in open_before] == after.posted


def is_right(line: MadeLine, result: dict[str, str]) -> bool:
    """Settled where it should, else refused with one of the codes that are right for this kind of line."""
    may_come = {Kind.GOOD, Kind.SAME_KEY_SAME_BODY}
    if result["code"] == "no_route":
        # No answer for ever: links run dry and fill again as money moves, for a good payment too.
        may_come.add(Kind.BEYOND_LIQUIDITY)
        return result["state"] == "unfinished" and line.kind in may_come
    if result["code"] in {"node_unreachable", "overloaded"}:
        # Sender or receiver was too busy until the payment's time was over: the next run asks again.
        return result["state"] == "unfinished" and line.kind in may_come
    if codes := CODES[line.kind]:
        return result["state"] in {"refused", "bad_line"} and result["code"] in codes
    return result["state"] == "settled"


def sums_of(read: FinalRead) -> dict[str, int]:
    """Sum of all balances per currency."""
    sums: Counter[str] = Counter()
    for account in read.accounts.values():
        sums[account.currency] += account.posted
    return dict(sums)


def differences(results: dict[int, dict[str, str]], after: FinalRead) -> list[str]:
    """Where a response and the ledger's rows disagree, both ways."""
    posted: dict[str, list[PostedHop]] = {}
    for hop in after.posted:
        if hop.payment not in after.known_before:
            posted.setdefault(hop.payment, []).append(hop)
    settled = {row["payment_id"]: row for row in results.values() if row["state"] == "settled"}
    found = [f"{payment} is posted, and no line says so" for payment in posted.keys() - settled]
    found += [f"{payment} is settled, and not posted" for payment in settled.keys() - posted]
    for payment in posted.keys() & settled.keys():
        found += _difference(settled[payment], sorted(posted[payment], key=lambda hop: hop.hop))
    return found


def _difference(row: dict[str, str], hops: list[PostedHop]) -> list[str]:
    route = " ".join([hops[0].from_node, *(hop.to_node for hop in hops)])
    amount = parse_amount(row["amount"], row["currency"])
    fee = parse_amount(row["fee"], row["currency"])
    said = (row["route"], amount + fee, amount, int(row["attempts"]))
    found = (route, hops[0].amount, hops[-1].amount, hops[0].attempt)
    return [] if said == found else [f"line {row['line']} says {said}, the ledger {found}"]
