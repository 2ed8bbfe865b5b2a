"""The pure ledger against its model: thousands of random steps, no database."""

from hypothesis import settings
from plm.domain import chain, deciding
from plm.domain.books import Books, Changes
from plm.domain.chain import Entry, Head, Verifier
from plm.domain.deciding import Answer, Command
from plm.domain.errors import PlmError
from support.ledger_machine import Balances, LedgerMachine


class InMemory(LedgerMachine):
    """Decides, seals and keeps the chain as the writer does, one command a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.entries: list[Entry] = []
        self.now_ms = 0

    def ask(self, command: Command) -> Answer:
        try:
            answer = deciding.decide(self.books, command, self.now_ms)
        except PlmError:
            assert not self.books.changes, "a refusal changes nothing"
            raise
        self._seal()
        return deciding.sealed(self.books, answer)

    def _seal(self) -> None:
        head = Head(self.entries[-1].seq, self.entries[-1].hash) if self.entries else Head()
        fresh = chain.append(head, self.books.changes.drafts, self.now_ms, 1)
        deciding.seal(self.books, fresh)
        self.entries += fresh
        self.books.changes = Changes()

    def balances(self) -> Balances:
        return {name: (each.posted, each.held) for name, each in self.books.accounts.items()}

    def let_time_pass(self, now_ms: int) -> None:
        self.now_ms = now_ms
        for order in deciding.expired(self.books, now_ms):
            deciding.decide(self.books, order, now_ms)
        self._seal()

    def teardown(self) -> None:
        """Whatever happened: the entries alone make the same books, and the chain holds."""
        verifier = Verifier()
        for entry in self.entries:
            verifier.feed(entry)
        verifier.check_balances(self.balances())
        assert verifier.findings == {}


TestTheLedger = InMemory.TestCase
TestTheLedger.settings = settings(max_examples=300, stateful_step_count=40)
