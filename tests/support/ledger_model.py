"""The ledger as a page of rules over plain dictionaries: slow, obvious, and written apart from the real one.

Each method returns the codes that the rules allow as a refusal. None means: the command must succeed, and did here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from plm.domain.errors import Code
from plm.domain.orders import (
    AttemptOrder,
    CloseOrder,
    DisableOrder,
    HoldOrder,
    Hop,
    LinkOrder,
    NodeOrder,
    PaymentOrder,
    PostOrder,
    RefuseOrder,
    TransferOrder,
)

MOST = 10**38 - 1
Codes = set[Code]


@dataclass
class ModelAttempt:
    order: AttemptOrder | None
    deadline_ms: int
    state: str = "open"
    holds: dict[int, str] = field(default_factory=dict)


@dataclass
class ModelPayment:
    order: PaymentOrder
    state: str = "open"
    attempts: dict[int, ModelAttempt] = field(default_factory=dict)


def broken(*rules: tuple[bool, Code]) -> Codes:
    return {code for is_broken, code in rules if is_broken}


@dataclass
class LedgerModel:
    """Accounts, transfers and payments of the demo mesh."""

    currencies: dict[str, str]
    policies: dict[tuple[str, str], object]
    now_ms: int = 0
    posted: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)  # accounts
    gone: set[str] = field(default_factory=set)  # nodes
    off: set[tuple[str, str]] = field(default_factory=set)  # links
    declared: dict[tuple[str, str], int] = field(default_factory=dict)
    generations: dict[tuple[str, str], int] = field(default_factory=dict)
    transfers: dict[str, TransferOrder] = field(default_factory=dict)
    payments: dict[str, ModelPayment] = field(default_factory=dict)

    def available(self, account: str) -> int:
        return self.posted.get(account, 0) - self.held.get(account, 0)

    def currency_of(self, account: str) -> str:
        kind, name = account.split("/")[:2]
        return name if kind == "external" else self.currencies[name]

    def move(self, debit: str, credit: str, amount: int) -> None:
        self.posted[debit] = self.posted.get(debit, 0) - amount
        self.posted[credit] = self.posted.get(credit, 0) + amount

    def pass_time(self, by_ms: int) -> None:
        self.now_ms += by_ms
        for payment in self.payments.values():
            for attempt in payment.attempts.values():
                if attempt.state == "open" and attempt.deadline_ms < self.now_ms:
                    self._void(attempt)

    def _void(self, attempt: ModelAttempt) -> None:
        attempt.state = "closed"
        for hop in [hop for hop, state in attempt.holds.items() if state == "pending"]:
            self._end(attempt, hop, "voided")

    def _end(self, attempt: ModelAttempt, hop: int, state: str) -> None:
        assert attempt.order is not None
        planned = attempt.order.hops[hop]
        debit = f"link/{planned.from_node}/{planned.to_node}"
        self.held[debit] -= planned.amount
        if state == "posted":
            credit = f"link/{planned.to_node}/{planned.from_node}"
            self.move(debit, credit, planned.amount)
            self.closed.discard(credit)  # who has money is open
        attempt.holds[hop] = state

    def fund(self, order: LinkOrder) -> Codes | None:
        key, generation = (order.from_node, order.to_node), order.registration.generation
        account = f"link/{order.from_node}/{order.to_node}"
        if generation < self.generations.get(key, 0):
            return {Code.STALE_GENERATION}
        if generation == self.generations.get(key, 0) and key not in self.off:
            return None
        change = order.declared_volume - self.declared.get(key, 0)
        if change < 0 and self.available(account) < -change:
            return {Code.INSUFFICIENT_FUNDS}
        self.declared[key], self.generations[key] = order.declared_volume, generation
        self.off.discard(key)
        for end in (account, f"link/{order.to_node}/{order.from_node}"):
            self.posted.setdefault(end, 0)
            self.closed.discard(end)
        self.move(f"external/{self.currencies[order.from_node]}", account, change)
        return None

    def join(self, order: NodeOrder) -> None:
        self.gone.discard(order.node_id)
        by = order.node_id
        self.off |= {key for key in self.declared if key[0] == by and key[1] not in order.links_to}
        self.closed -= {f"link/{by}/{near}" for near, to in self.declared if to == by}

    def leave(self, order: DisableOrder) -> None:
        self.gone.add(order.node_id)
        for key in self.declared:
            account = "link/{}/{}".format(*key)
            if key[0] == order.node_id:
                self.off.add(key)
                if (self.posted[account], self.held.get(account, 0)) == (0, 0):
                    self.closed.add(account)

    def transfer(self, order: TransferOrder) -> Codes | None:
        known = self.transfers.get(order.transfer_id)
        if known is not None:
            return None if known == order else {Code.KEY_REUSED}
        accounts = (order.debit, order.credit)
        if any(account not in self.posted for account in accounts):
            return {Code.UNKNOWN_ACCOUNT} | broken(
                (not self.closed.isdisjoint(accounts), Code.ACCOUNT_CLOSED),
                (order.amount <= 0, Code.INVALID_AMOUNT),
                (order.amount > MOST, Code.AMOUNT_TOO_LARGE),
            )
        is_bank = order.debit.startswith("external/")
        codes = broken(
            (order.amount <= 0, Code.INVALID_AMOUNT),
            (order.amount > MOST, Code.AMOUNT_TOO_LARGE),
            (not self.closed.isdisjoint(accounts), Code.ACCOUNT_CLOSED),
            (order.debit == order.credit, Code.INVALID_REQUEST),
            (
                any(self.currency_of(each) != order.currency for each in accounts),
                Code.CURRENCY_MISMATCH,
            ),
            (not is_bank and self.available(order.debit) < order.amount, Code.INSUFFICIENT_FUNDS),
            (self.posted[order.credit] + order.amount > MOST, Code.AMOUNT_TOO_LARGE),
            (self.posted[order.debit] - order.amount < -MOST, Code.AMOUNT_TOO_LARGE),
        )
        if codes:
            return codes
        self.transfers[order.transfer_id] = order
        self.move(order.debit, order.credit, order.amount)
        return None

    def begin(self, order: PaymentOrder) -> Codes | None:
        known = self.payments.get(order.payment_id)
        if known is not None:
            return None if known.order == order else {Code.KEY_REUSED}
        codes = broken(
            (order.amount <= 0, Code.INVALID_AMOUNT),
            (order.amount > MOST, Code.AMOUNT_TOO_LARGE),
            (order.from_node == order.to_node, Code.SAME_NODE),
        )
        if not codes:
            ends, present = (order.from_node, order.to_node), self.currencies.keys() - self.gone
            fits = {self.currencies.get(each) for each in ends} == {order.currency}
            state = "open" if fits and present.issuperset(ends) else "refused"
            self.payments[order.payment_id] = ModelPayment(order, state)
        return codes or None

    def attempt(self, order: AttemptOrder) -> Codes | None:
        payment = self.payments.get(order.payment_id)
        if payment is None:
            return {Code.UNKNOWN_PAYMENT}
        known = payment.attempts.get(order.number)
        if known is not None:
            is_same = known.order is not None and known.order.hops == order.hops
            return (
                broken(
                    (known.state == "closed", Code.ATTEMPT_CLOSED), (not is_same, Code.KEY_REUSED)
                )
                or None
            )
        stops = [order.hops[0].from_node, *(hop.to_node for hop in order.hops)]
        codes = broken(
            (payment.state != "open", Code.PAYMENT_ENDED),
            (any(each.state != "closed" for each in payment.attempts.values()), Code.ATTEMPT_OPEN),
            (order.number != len(payment.attempts) + 1, Code.INVALID_REQUEST),
            (
                (stops[0], stops[-1]) != (payment.order.from_node, payment.order.to_node),
                Code.INVALID_REQUEST,
            ),
            (not all(map(self._is_as_quoted, order.hops)), Code.POLICY_CHANGED),
            (order.hops[-1].amount != payment.order.amount, Code.INVALID_AMOUNT),
        )
        if not codes:
            payment.attempts[order.number] = ModelAttempt(order, self.now_ms + order.timeout_ms)
        return codes or None

    def _is_as_quoted(self, hop: Hop) -> bool:
        key, far = (hop.from_node, hop.to_node), f"link/{hop.to_node}/{hop.from_node}"
        is_open = key not in self.off and hop.to_node not in self.gone and far not in self.closed
        return is_open and self.policies[key] == hop.policy

    def hold(self, order: HoldOrder) -> Codes | None:
        attempt, codes = self._attempt(order.payment_id, order.number)
        if attempt is None:
            return codes
        hops = attempt.order.hops if attempt.order else ()
        if order.hop >= len(hops):
            return codes | {Code.INVALID_REQUEST}
        planned = hops[order.hop]
        codes |= broken((planned.from_node != order.owner, Code.NOT_OWNER))
        if codes or order.hop in attempt.holds:
            return codes or None
        key = (planned.from_node, planned.to_node)
        account = "link/{}/{}".format(*key)
        codes = broken(
            (key in self.off or self.policies[key] != planned.policy, Code.POLICY_CHANGED),
            (account in self.closed, Code.ACCOUNT_CLOSED),
            (self.available(account) < planned.amount, Code.INSUFFICIENT_FUNDS),
        )
        if codes:
            return codes
        self.held[account] = self.held.get(account, 0) + planned.amount
        attempt.holds[order.hop] = "pending"
        return None

    def post(self, order: PostOrder) -> Codes | None:
        attempt, codes = self._attempt(order.payment_id, order.number)
        if attempt is None:
            return codes
        hops = attempt.order.hops if attempt.order else ()
        codes |= broken((bool(hops) and hops[0].from_node != order.owner, Code.NOT_OWNER))
        if attempt.state == "posted":
            return codes - {Code.ATTEMPT_POSTED} or None
        if len(attempt.holds) != len(hops) or len(order.hold_ids) != len(hops):
            codes.add(Code.INVALID_REQUEST)
        if codes:
            return codes
        for hop in range(len(hops)):
            self._end(attempt, hop, "posted")
        attempt.state = "posted"
        self.payments[order.payment_id].state = "settled"
        return None

    def close(self, order: CloseOrder) -> Codes | None:
        payment = self.payments.get(order.payment_id)
        if payment is None:
            return {Code.UNKNOWN_PAYMENT}
        attempt = payment.attempts.get(order.number)
        if attempt is None:
            if order.number != len(payment.attempts) + 1:
                return {Code.INVALID_REQUEST}
            attempt = payment.attempts[order.number] = ModelAttempt(None, self.now_ms)
        if attempt.state == "open":
            self._void(attempt)
        return None

    def refuse(self, order: RefuseOrder) -> Codes | None:
        payment = self.payments.get(order.payment_id)
        if payment is None:
            return {Code.UNKNOWN_PAYMENT}
        if any(each.state == "open" for each in payment.attempts.values()):
            return {Code.ATTEMPT_OPEN}
        if payment.state == "open":
            payment.state = "refused"
        return None

    def _attempt(self, payment_id: str, number: int) -> tuple[ModelAttempt | None, Codes]:
        payment = self.payments.get(payment_id)
        if payment is None:
            return None, {Code.UNKNOWN_PAYMENT}
        attempt = payment.attempts.get(number)
        if attempt is None:
            return None, {Code.ATTEMPT_CLOSED}
        ended = {"posted": {Code.ATTEMPT_POSTED}, "closed": {Code.ATTEMPT_CLOSED}}
        return attempt, set(ended.get(attempt.state, ()))


RULES: dict[type, Callable[[LedgerModel], Callable[..., Codes | None]]] = {
    NodeOrder: lambda model: model.join,
    LinkOrder: lambda model: model.fund,
    DisableOrder: lambda model: model.leave,
    TransferOrder: lambda model: model.transfer,
    PaymentOrder: lambda model: model.begin,
    AttemptOrder: lambda model: model.attempt,
    HoldOrder: lambda model: model.hold,
    PostOrder: lambda model: model.post,
    CloseOrder: lambda model: model.close,
    RefuseOrder: lambda model: model.refuse,
}
