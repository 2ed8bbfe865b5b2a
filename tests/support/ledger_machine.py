"""Random commands to a ledger and to its model, step by step: the same answer, the same refusal, the same books."""

from abc import abstractmethod

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from plm.domain.deciding import Answer, Command
from plm.domain.errors import PlmError
from plm.domain.mesh import LinkPolicy
from plm.domain.orders import (
    CloseOrder,
    DisableOrder,
    HoldOrder,
    LinkOrder,
    PaymentOrder,
    PostOrder,
    RefuseOrder,
    TransferOrder,
)
from plm.domain.payments import Attempt, Payment
from support import demo_mesh
from support.ledger_model import RULES, LedgerModel

Balances = dict[str, tuple[int, int]]

VOLUME = 3_000
payment_ids = st.sampled_from(["p1", "p2", "p3"])
numbers = st.integers(1, 3)
routes = st.sampled_from(["abd", "acd", "ab"])
amounts = st.sampled_from([-5, 0, 1, 700, 2_000, 4_900, 10**38 - 1, 10**38])
nodes = st.sampled_from("abcde")
currencies = st.sampled_from(["USD", "EUR"])
usual_amounts = st.sampled_from([700, 2_000])
accounts = st.sampled_from(
    ["link/a/b", "link/b/a", "link/a/c", "link/b/d", "external/USD", "external/EUR", "link/a/z"]
)


class LedgerMachine(RuleBasedStateMachine):
    """Subclasses say what the ledger is: a copy of the books in memory, or a writer on Postgres."""

    def __init__(self) -> None:
        super().__init__()
        currencies = dict.fromkeys(demo_mesh.NODES, "USD") | {"e": "EUR"}
        self.model = LedgerModel(currencies, dict(demo_mesh.POLICIES))
        self.model.posted |= {"external/USD": 0, "external/EUR": 0}
        self.generation = 1
        self.asked: list[Command] = []

    @abstractmethod
    def ask(self, command: Command) -> Answer:
        """The ledger's answer. Raises PlmError."""

    @abstractmethod
    def balances(self) -> Balances:
        """Posted and held of every account, as committed."""

    @abstractmethod
    def let_time_pass(self, now_ms: int) -> None:
        """Set the ledger's clock; what has expired is closed with the next command."""

    @initialize()
    def found(self) -> None:
        for command in demo_mesh.founding(VOLUME):
            self.ask(command)
            if isinstance(command, LinkOrder):
                self.model.fund(command)

    def both(self, command: Command) -> None:
        """Ask ledger and model, compare what they say."""
        allowed = RULES[type(command)](self.model)(command)
        answer = self._outcome(command)
        if isinstance(answer, PlmError):
            assert allowed is not None, f"{command} must succeed, got {answer}"
            assert answer.code in allowed, f"{command}: {answer} is not of {allowed}"
            return
        assert allowed is None, f"{command} must be refused as {allowed}, got {answer}"
        self._compare(answer)
        self.asked.append(command)

    def _outcome(self, command: Command) -> Answer | PlmError:
        try:
            return self.ask(command)
        except PlmError as error:
            return error

    def _compare(self, answer: Answer) -> None:
        match answer:
            case Payment():
                expected = self.model.payments[answer.order.payment_id]
                assert answer.state == expected.state
                assert {each.number: each.state for each in answer.attempts} == {
                    number: each.state for number, each in expected.attempts.items()
                }
            case Attempt():
                attempt = self.model.payments[answer.payment_id].attempts[answer.number]
                assert answer.state == attempt.state
                assert {each.hop: each.state for each in answer.holds} == attempt.holds

    @rule(key=st.sampled_from(sorted(demo_mesh.POLICIES)), volume=st.integers(0, 9_000))
    def declare_another_volume(self, key: tuple[str, str], volume: int) -> None:
        self.generation += 1
        self.both(demo_mesh.link_order(*key, volume, self.generation))

    @rule(key=st.sampled_from(sorted(demo_mesh.POLICIES)), volume=st.sampled_from([0, 0, 700]))
    def declare_the_way_back(self, key: tuple[str, str], volume: int) -> None:
        """Only the far account of a hop that is a link's too can be closed under a payment."""
        self.generation += 1
        far, near = key[::-1]
        registration = demo_mesh.registration(far, self.generation)
        self.both(LinkOrder(far, near, LinkPolicy(0), volume, registration))

    @rule(node_id=nodes)
    def leave(self, node_id: str) -> None:
        self.both(DisableOrder(node_id))

    @rule(node_id=st.sampled_from(demo_mesh.NODES), links=st.booleans())
    def come_back(self, node_id: str, *, links: bool) -> None:
        self.both(demo_mesh.node_order(node_id))
        for key in demo_mesh.POLICIES:
            if links and key[0] == node_id:
                self.generation += 1
                volume = self.model.declared[key]
                self.both(demo_mesh.link_order(*key, volume, self.generation))

    @rule(
        name=st.sampled_from(["t1", "t2", "t3", "t4"]),
        debit=accounts,
        credit=accounts,
        amount=amounts,
        currency=currencies,
    )
    def transfer(self, name: str, debit: str, credit: str, amount: int, currency: str) -> None:
        self.both(TransferOrder(name, debit, credit, amount, currency))

    @rule(payment_id=payment_ids, amount=amounts, from_node=nodes, to_node=nodes)
    def begin_anything(self, payment_id: str, amount: int, from_node: str, to_node: str) -> None:
        self.both(
            PaymentOrder(payment_id, "client", demo_mesh.BODY, from_node, to_node, amount, "USD")
        )

    @rule(payment_id=payment_ids, amount=usual_amounts)
    def begin(self, payment_id: str, amount: int) -> None:
        self.both(demo_mesh.payment_order(payment_id, amount))

    @rule(payment_id=payment_ids, number=numbers, stops=routes, amount=usual_amounts)
    def attempt(self, payment_id: str, number: int, stops: str, amount: int) -> None:
        self.both(demo_mesh.attempt_order(payment_id, number, stops, amount))

    @rule(payment_id=payment_ids, number=numbers, hop=st.integers(0, 2), owner=nodes)
    def hold_anything(self, payment_id: str, number: int, hop: int, owner: str) -> None:
        self.both(HoldOrder(payment_id, number, hop, owner))

    @rule(payment_id=payment_ids, number=numbers, owner=nodes, stops=routes)
    def post_anything(self, payment_id: str, number: int, owner: str, stops: str) -> None:
        order = demo_mesh.post_order(payment_id, number, stops)
        self.both(PostOrder(payment_id, number, order.hold_ids, owner))

    @rule(payment_id=payment_ids, number=numbers)
    def close(self, payment_id: str, number: int) -> None:
        self.both(CloseOrder(payment_id, number, "given up"))

    @rule(payment_id=payment_ids)
    def refuse(self, payment_id: str) -> None:
        self.both(RefuseOrder(payment_id, "no_route", "none is left"))

    @rule(
        payment_id=payment_ids,
        stops=st.sampled_from(["abd", "acd"]),
        amount=usual_amounts,
        steps=st.integers(1, 4),
        leaver=st.sampled_from(["", "", "", "b", "d"]),
    )
    def go_on(self, payment_id: str, stops: str, amount: int, steps: int, leaver: str) -> None:
        """The usual course of a payment, as far as it gets: chance alone rarely settles one."""
        self.both(demo_mesh.payment_order(payment_id, amount))
        number = (
            max(1, len(self.model.payments[payment_id].attempts))
            if payment_id in self.model.payments
            else 1
        )
        course: list[Command] = [
            demo_mesh.attempt_order(payment_id, number, stops, amount),
            demo_mesh.hold_order(payment_id, number, 0, stops),
            demo_mesh.hold_order(payment_id, number, 1, stops),
            demo_mesh.post_order(payment_id, number, stops),
        ]
        if leaver:
            course.insert(3, DisableOrder(leaver))
        for command in course[: steps + bool(leaver)]:
            self.both(command)

    @rule(by_ms=st.sampled_from([1, 2_000, 5_000, 60_000]))
    def pass_time(self, by_ms: int) -> None:
        self.model.pass_time(by_ms)
        self.let_time_pass(self.model.now_ms)

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """Whatever was answered once is answered again, or its payment has moved on since."""
        if self.asked:
            self.both(data.draw(st.sampled_from(self.asked), label="again"))

    @invariant()
    def books_are_the_models(self) -> None:
        found = self.balances()
        for account in found.keys() | self.model.posted.keys():
            expected = self.model.posted.get(account, 0), self.model.held.get(account, 0)
            assert found.get(account, (0, 0)) == expected, account
        sums: dict[str, int] = {}
        for account, (posted, _) in found.items():
            currency = self.model.currency_of(account)
            sums[currency] = sums.get(currency, 0) + posted
        assert set(sums.values()) <= {0}
