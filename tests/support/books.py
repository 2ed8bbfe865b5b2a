"""From rows of the ledger to what the checker reads: posted hops, holds that are still pending, balances. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from support.verdicts import Account, FinalRead, PostedHop

Row = Mapping[str, Any]


def final_read(
    entries: Iterable[Row],
    accounts: Iterable[Row],
    *,
    chain_ok: bool,
    stuck: Iterable[str] = (),
    before: FinalRead | None = None,
) -> FinalRead:
    """A final read from the append-only entries; `stuck` is what other tables call pending, `before` the first read."""
    pending: dict[str, Row] = {}
    posted: list[PostedHop] = []
    for entry in entries:
        match entry["kind"]:
            case "hold":
                pending[entry["transfer_id"]] = entry
            case "post":
                pending.pop(entry["transfer_id"], None)
                posted.append(_hop(entry))
            case "void":
                pending.pop(entry["transfer_id"], None)
    return FinalRead(
        posted=posted,
        pending_holds=sorted({*pending, *stuck}),
        accounts={
            row["account_id"]: Account(row["currency"], int(row["posted"])) for row in accounts
        },
        chain_ok=chain_ok,
        accounts_before=before.accounts if before else {},
        known_before=frozenset(hop.payment for hop in before.posted) if before else frozenset(),
    )


def _hop(entry: Row) -> PostedHop:
    """A hold is named payment/attempt/hop, and debits link/from/to."""
    payment, attempt, hop = str(entry["transfer_id"]).rsplit("/", 2)
    _, from_node, to_node = str(entry["debit"]).split("/")
    return PostedHop(
        payment,
        int(attempt),
        int(hop),
        from_node,
        to_node,
        int(entry["amount"]),
        entry["currency"],
    )
