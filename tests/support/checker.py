"""The judge: a history kept outside the system and one final read of the ledger go in, a verdict comes out. Pure.

VIOLATED: a promise was broken. INVALID: the run proves nothing (faults did not bite, or the history is broken).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plm.domain.ids import payment_id
from plm.domain.money import parse_amount
from support.history import Event
from support.verdicts import Bite, FinalRead, Outcome, PostedHop, Promise, Verdict, Violation

Request = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Books:
    """History and final read, indexed once."""

    client_id: str
    oks: Mapping[tuple[str, Request], Sequence[Mapping[str, Any]]]
    fails: Mapping[tuple[str, Request], Sequence[Mapping[str, Any]]]
    asked: frozenset[str]
    posted: Mapping[str, Sequence[PostedHop]]
    final: FinalRead


def check(history: Iterable[Event], final: FinalRead, bite: Bite, *, client_id: str) -> Verdict:
    """Judge a run."""
    events = list(history)
    books = _index(events, final, client_id)
    violations = tuple(
        violation
        for rule in (_acknowledged, _once, _refused, _keys, _quiet, _sums, _known)
        for violation in rule(books)
    )
    counts = _counts(events, books)
    doubts = tuple(_doubts(events, counts, bite))
    outcome = Outcome.VALID
    if doubts:
        outcome = Outcome.INVALID
    if violations:
        outcome = Outcome.VIOLATED
    return Verdict(outcome, violations, doubts, counts)


def _index(events: Sequence[Event], final: FinalRead, client_id: str) -> _Books:
    by_kind: dict[str, dict[tuple[str, Request], list[Mapping[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for event in events:
        by_kind[event.kind][event.key, _request(event.body)].append(event.value)
    posted: dict[str, list[PostedHop]] = defaultdict(list)
    for hop in final.posted:
        posted[hop.payment].append(hop)
    asked = frozenset(payment_id(client_id, key) for key, _ in by_kind["invoke"])
    return _Books(client_id, by_kind["ok"], by_kind["fail"], asked, posted, final)


def _request(body: Mapping[str, str]) -> Request:
    return tuple(sorted(body.items()))


def _acknowledged(books: _Books) -> Iterator[Violation]:
    for (key, request), receipts in books.oks.items():
        hops = sorted(
            books.posted.get(payment_id(books.client_id, key), ()),
            key=lambda hop: (hop.attempt, hop.hop),
        )
        if not hops:
            yield Violation(Promise.NOT_LOST, key, "acknowledged, and nothing is posted")
            continue
        for receipt in receipts:
            for difference in _differences(receipt, dict(request), hops):
                yield Violation(Promise.ANSWER_IS_LEDGER, key, difference)
        if len({_essence(receipt) for receipt in receipts}) > 1:
            yield Violation(Promise.SAME_ANSWER, key, f"{len(receipts)} answers differ")


def _differences(
    receipt: Mapping[str, Any], request: Mapping[str, str], hops: Sequence[PostedHop]
) -> Iterator[str]:
    currency = request["currency"]
    route = [hops[0].from_node, *(hop.to_node for hop in hops)]
    amount = parse_amount(request["amount"], currency)
    fee = hops[0].amount - amount
    expected = {
        "paymentId": hops[0].payment,
        "from": request["from"],
        "to": request["to"],
        "route": route,
    }
    for name, value in expected.items():
        if receipt[name] != value:
            yield f"{name} is {receipt[name]} in the receipt, {value} in the ledger"
    if parse_amount(receipt["fee"], currency) != fee:
        yield f"fee is {receipt['fee']} in the receipt, {fee} minor units in the ledger"
    if parse_amount(receipt["amount"], currency) != amount or hops[-1].amount != amount:
        yield f"amount asked {amount}, received {hops[-1].amount} minor units"
    if {hop.currency for hop in hops} != {currency}:
        yield f"currency asked {currency}, posted {sorted({hop.currency for hop in hops})}"
    if (route[0], route[-1]) != (request["from"], request["to"]):
        yield f"the ledger moved money from {route[0]} to {route[-1]}"
    posted_attempts = [a["attempt"] for a in receipt["attempts"] if a["state"] == "posted"]
    if posted_attempts != [hops[0].attempt]:
        yield f"attempts {posted_attempts} are posted in the receipt, {hops[0].attempt} in the ledger"


def _essence(receipt: Mapping[str, Any]) -> tuple[str, ...]:
    return (receipt["paymentId"], receipt["amount"], receipt["fee"], *receipt["route"])


def _once(books: _Books) -> Iterator[Violation]:
    for payment, hops in books.posted.items():
        attempts = sorted({hop.attempt for hop in hops})
        if len(attempts) > 1:
            yield Violation(Promise.ONCE, payment, f"attempts {attempts} are all posted")
        if len({(hop.attempt, hop.hop) for hop in hops}) < len(hops):
            yield Violation(Promise.ONCE, payment, "a hop is posted twice")


def _refused(books: _Books) -> Iterator[Violation]:
    for (key, request), values in books.fails.items():
        hops = books.posted.get(payment_id(books.client_id, key), ())
        # A key reused with another body is refused while its first body stands in the ledger: compare the bodies.
        if hops and _moves(hops, dict(request)) and (key, request) not in books.oks:
            code = values[0].get("code", "")
            yield Violation(Promise.NO_RESURRECTION, key, f"refused as {code}, and posted")


def _moves(hops: Sequence[PostedHop], request: Mapping[str, str]) -> bool:
    """Whether these hops carry out this request: a refused amount may be one that cannot even be read."""
    ordered = sorted(hops, key=lambda hop: (hop.attempt, hop.hop))
    try:
        amount = parse_amount(request["amount"], request["currency"])
    except Exception:  # noqa: BLE001 - an amount that nobody can read was not moved
        return False
    ends = (ordered[0].from_node, ordered[-1].to_node, ordered[-1].amount)
    return ends == (request["from"], request["to"], amount)


def _keys(books: _Books) -> Iterator[Violation]:
    bodies = Counter(key for key, _ in books.oks)
    for key, count in bodies.items():
        if count > 1:
            yield Violation(Promise.KEY_IS_BOUND, key, f"{count} different bodies were settled")
    for key, request in books.oks:
        if (key, request) in books.fails:
            yield Violation(Promise.SAME_ANSWER, key, "settled once and refused once")


def _quiet(books: _Books) -> Iterator[Violation]:
    for hold in books.final.pending_holds:
        yield Violation(Promise.NOT_STRANDED, hold, "still pending")
    if not books.final.chain_ok:
        yield Violation(Promise.CHAIN, "chain", "verification found something")


def _sums(books: _Books) -> Iterator[Violation]:
    final = books.final
    totals: Counter[str] = Counter()
    for name, account in final.accounts.items():
        totals[account.currency] += account.posted
        if account.posted < 0 and not name.startswith("external/"):
            yield Violation(Promise.SUMS, name, f"negative: {account.posted}")
    for currency, total in totals.items():
        if total != 0:
            yield Violation(Promise.SUMS, currency, f"the sum is {total}, not zero")
    if final.accounts_before:
        yield from _folds(books)


def _folds(books: _Books) -> Iterator[Violation]:
    """Balances before, plus what was posted, are the balances after: account by account."""
    expected = Counter({name: each.posted for name, each in books.final.accounts_before.items()})
    for payment, hops in books.posted.items():
        if payment not in books.final.known_before:
            for hop in hops:
                expected[f"link/{hop.from_node}/{hop.to_node}"] -= hop.amount
                expected[f"link/{hop.to_node}/{hop.from_node}"] += hop.amount
    found = Counter({name: each.posted for name, each in books.final.accounts.items()})
    for name in sorted(expected.keys() | found.keys()):
        if expected[name] != found[name]:
            detail = f"{found[name]}, where the posted hops make {expected[name]}"
            yield Violation(Promise.SUMS, name, detail)


def _known(books: _Books) -> Iterator[Violation]:
    for payment in books.posted:
        if payment not in books.asked and payment not in books.final.known_before:
            yield Violation(Promise.KNOWN, payment, "posted, and never asked for")


def _counts(events: Sequence[Event], books: _Books) -> dict[str, int]:
    kinds = Counter(event.kind for event in events)
    rerouted = sum(1 for receipts in books.oks.values() if len(receipts[0].get("attempts", ())) > 1)
    bitten = sum(1 for event in events if event.kind == "fault" and event.value.get("bit"))
    unanswered = kinds["invoke"] - kinds["ok"] - kinds["fail"] - kinds["info"]
    return {
        "asked": kinds["invoke"],
        "ok": kinds["ok"],
        "fail": kinds["fail"],
        "unknown": kinds["info"] + unanswered,
        "rerouted": rerouted,
        "faults": kinds["fault"],
        "faults_that_bit": bitten,
    }


def _doubts(events: Sequence[Event], counts: Mapping[str, int], bite: Bite) -> Iterator[str]:
    invoked = {event.number for event in events if event.kind == "invoke"}
    answered = [event.number for event in events if event.kind in {"ok", "fail", "info"}]
    if not invoked.issuperset(answered) or len(set(answered)) < len(answered):
        yield "the history has outcomes without an invocation, or two for one"
    if counts["ok"] < bite.ok_min:
        yield f"{counts['ok']} payments settled, {bite.ok_min} are needed"
    if counts["faults_that_bit"] < bite.faults_min:
        yield f"{counts['faults_that_bit']} faults bit, {bite.faults_min} are needed"
    if counts["rerouted"] < bite.rerouted_min:
        yield f"{counts['rerouted']} payments were rerouted, {bite.rerouted_min} are needed"
    for kind in sorted(bite.kinds - _bitten_kinds(events)):
        yield f"no fault bit any {kind}"


def _bitten_kinds(events: Sequence[Event]) -> set[str]:
    return {event.value["kind"] for event in events if event.kind == "fault" and event.value["bit"]}
