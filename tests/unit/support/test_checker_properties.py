"""Over random sound runs the judge accuses nobody; after one random lie of ledger or receipts it accuses somebody."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from plm.domain.ids import payment_id
from plm.domain.money import format_amount
from support.checker import check
from support.history import Event
from support.verdicts import Account, Bite, FinalRead, Outcome, PostedHop, Verdict

CLIENT = "operator"
NODES = ("a", "b", "c", "d", "e")
OPENING = 10_000_00
NO_BITE = Bite(ok_min=0)


@dataclass(frozen=True)
class Deed:
    """One payment: what was asked, whether the ledger posted it, and what the client was told."""

    route: tuple[str, ...]
    amount: int
    fee: int
    told: str  # ok | fail | info
    is_posted: bool
    attempt: int


@st.composite
def deeds(draw: st.DrawFn) -> Deed:
    told = draw(st.sampled_from(["ok", "fail", "info"]))
    return Deed(
        route=tuple(draw(st.permutations(NODES)))[: draw(st.integers(2, 5))],
        amount=draw(st.integers(1, 500_00)),
        fee=draw(st.integers(0, 5_00)),
        told=told,
        # ok means posted, fail means not; of an unknown one the ledger decides.
        is_posted=told == "ok" or (told == "info" and draw(st.booleans())),
        attempt=draw(st.integers(1, 3)),
    )


def hops_of(number: int, deed: Deed) -> list[PostedHop]:
    payment = payment_id(CLIENT, f"k{number}")
    links = list(zip(deed.route, deed.route[1:], strict=False))
    return [
        PostedHop(
            payment,
            deed.attempt,
            hop,
            sender,
            receiver,
            deed.amount + (deed.fee if hop < len(links) - 1 else 0),
            "USD",
        )
        for hop, (sender, receiver) in enumerate(links)
    ]


def receipt_of(number: int, deed: Deed, body: dict[str, str]) -> dict[str, Any]:
    if deed.told != "ok":
        return {"code": "said_no"}
    fee = deed.fee if len(deed.route) > 2 else 0
    closed = [{"attempt": each, "state": "closed"} for each in range(1, deed.attempt)]
    return {
        "paymentId": payment_id(CLIENT, f"k{number}"),
        **body,
        "fee": format_amount(fee, "USD"),
        "route": list(deed.route),
        "attempts": [*closed, {"attempt": deed.attempt, "state": "posted"}],
    }


@dataclass
class Run:
    """A sound run made of deeds."""

    done: list[Deed]
    events: list[Event] = field(default_factory=list)
    posted: list[PostedHop] = field(default_factory=list)
    before: dict[str, Account] = field(default_factory=dict)
    after: dict[str, Account] = field(default_factory=dict)

    def __post_init__(self) -> None:
        balances: Counter[str] = Counter()
        for sender in NODES:
            for receiver in NODES:
                if sender != receiver:
                    balances[f"link/{sender}/{receiver}"] = OPENING
        balances["external/USD"] = -sum(balances.values())
        self.before = {name: Account("USD", amount) for name, amount in balances.items()}
        for number, deed in enumerate(self.done):
            body = {
                "from": deed.route[0],
                "to": deed.route[-1],
                "amount": format_amount(deed.amount, "USD"),
                "currency": "USD",
            }
            key, value = f"k{number}", receipt_of(number, deed, body)
            self.events.append(Event(number, "invoke", number, key, body))
            self.events.append(Event(number, deed.told, number, key, body, value))  # type: ignore[arg-type] # drawn from the literals
            if deed.is_posted:
                self.posted += hops_of(number, deed)
        for hop in self.posted:
            balances[f"link/{hop.from_node}/{hop.to_node}"] -= hop.amount
            balances[f"link/{hop.to_node}/{hop.from_node}"] += hop.amount
        self.after = {name: Account("USD", amount) for name, amount in balances.items()}

    def verdict(self, *pending: str) -> Verdict:
        final = FinalRead(
            self.posted, pending, self.after, chain_ok=True, accounts_before=self.before
        )
        return check(self.events, final, NO_BITE, client_id=CLIENT)


@given(st.lists(deeds(), max_size=12))
def test_no_sound_run_is_accused(done: list[Deed]) -> None:
    verdict = Run(done).verdict()
    assert verdict.outcome is Outcome.VALID, str(verdict)


@given(st.lists(deeds(), min_size=1, max_size=12), st.data())
def test_a_lost_doubled_or_altered_hop_is_always_seen(
    done: list[Deed], data: st.DataObject
) -> None:
    run = Run(done)
    assume(run.posted)
    index = data.draw(st.integers(0, len(run.posted) - 1))
    hop = run.posted[index]
    lie = data.draw(st.sampled_from(["drop", "repeat", "other attempt", "other amount"]))
    match lie:
        case "drop":
            del run.posted[index]
        case "repeat":
            run.posted.append(hop)
        case "other attempt":
            run.posted.append(replace(hop, attempt=hop.attempt + 1))
        case "other amount":
            run.posted[index] = replace(hop, amount=hop.amount + 1)
    assert run.verdict().outcome is Outcome.VIOLATED


LIES: list[dict[str, Any]] = [
    {"fee": "999.99"},
    {"amount": "999.99"},
    {"route": ["a", "z"]},
    {"paymentId": "pay_other"},
    {"attempts": []},
]


@given(st.lists(deeds(), min_size=1, max_size=12), st.data())
def test_a_receipt_that_lies_is_always_seen(done: list[Deed], data: st.DataObject) -> None:
    run = Run(done)
    receipts = [index for index, event in enumerate(run.events) if event.kind == "ok"]
    assume(receipts)
    event = run.events[data.draw(st.sampled_from(receipts))]
    lie = data.draw(st.sampled_from(LIES))
    run.events[run.events.index(event)] = replace(event, value={**event.value, **lie})
    assert run.verdict().outcome is Outcome.VIOLATED


@given(st.lists(deeds(), max_size=12), st.sampled_from(NODES), st.integers(1, 100))
def test_money_that_comes_from_nowhere_is_always_seen(
    done: list[Deed], node: str, amount: int
) -> None:
    run = Run(done)
    name = f"link/{node}/{NODES[0] if node != NODES[0] else NODES[1]}"
    run.after[name] = Account("USD", run.after[name].posted + amount)
    assert run.verdict().outcome is Outcome.VIOLATED
