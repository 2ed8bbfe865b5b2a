"""Commands decided on books in memory, one after the other: what is answered, and what a refusal leaves alone."""

import pytest
from plm.domain import deciding
from plm.domain.books import Books, Changes
from plm.domain.deciding import Answer, Command
from plm.domain.errors import Code, PlmError
from support import demo_mesh


def ask(books: Books, *commands: Command, now_ms: int = 0) -> Answer:
    for command in commands:
        answer = deciding.decide(books, command, now_ms)
    return answer


def founded() -> Books:
    books = Books()
    ask(books, *demo_mesh.founding(10_000))
    books.changes = Changes()
    return books


def refused(books: Books, command: Command, now_ms: int = 0) -> Code:
    """The code of a refusal, once it is clear that it changed nothing."""
    before = len(books.changes.drafts)
    with pytest.raises(PlmError) as caught:
        ask(books, command, now_ms=now_ms)
    assert len(books.changes.drafts) == before
    return caught.value.code
