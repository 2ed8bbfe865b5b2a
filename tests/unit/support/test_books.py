"""Reading the ledger's rows: what is posted, what is pending, who has how much."""

from typing import Any

from support.books import final_read
from support.verdicts import Account, PostedHop


def entry(kind: str, hold: str, amount: int = 100) -> dict[str, Any]:
    return {
        "kind": kind,
        "transfer_id": hold,
        "debit": "link/a/b",
        "credit": "link/b/a",
        "amount": amount,
        "currency": "USD",
    }


def test_holds_that_were_neither_posted_nor_voided_are_pending() -> None:
    entries = [
        entry("fund", "fund/link/a/b/1"),
        entry("hold", "pay_1/1/0"),
        entry("hold", "pay_2/1/0"),
        entry("hold", "pay_3/2/1"),
        entry("post", "pay_1/1/0"),
        entry("void", "pay_3/2/1"),
    ]
    read = final_read(entries, [], chain_ok=True, stuck=["pay_2/1/0", "link/a/b"])
    assert read.pending_holds == ["link/a/b", "pay_2/1/0"]
    assert read.posted == [PostedHop("pay_1", 1, 0, "a", "b", 100, "USD")]


def test_what_was_there_before_is_known() -> None:
    rows = [{"account_id": "link/a/b", "currency": "USD", "posted": 5}]
    before = final_read([entry("post", "pay_1/1/0")], rows, chain_ok=True)
    after = final_read([entry("post", "pay_1/1/0")], [], chain_ok=True, before=before)
    assert after.known_before == {"pay_1"}
    assert after.accounts_before == {"link/a/b": Account("USD", 5)}
