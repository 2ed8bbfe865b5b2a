"""What the gateway is asked and what it answers, as types: orders, payments, verdicts.

Parsing is strict about what plm uses and silent about what it does not know, so a newer gateway stays readable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

KEY_LENGTH_MAX = 200
KEY_RULE = f"1 to {KEY_LENGTH_MAX} printable ASCII characters, none of them a space"


def is_key(text: str) -> bool:
    """Whether the gateway takes this for an idempotency key: docs/openapi.json has the same rule."""
    return 1 <= len(text) <= KEY_LENGTH_MAX and all("!" <= character <= "~" for character in text)


@dataclass(frozen=True)
class Order:
    """What a payment asks for. The amount is a decimal string: no float ever sees it."""

    from_node: str
    to_node: str
    amount: str
    currency: str

    def body(self) -> dict[str, str]:
        """As the gateway reads it."""
        return {
            "from": self.from_node,
            "to": self.to_node,
            "amount": self.amount,
            "currency": self.currency,
        }


@dataclass(frozen=True)
class Hold:
    """One hop's hold and the chain entry of its latest change."""

    hop: int
    hold_id: str
    state: str
    entry_seq: int
    entry_hash: str

    @staticmethod
    def read(raw: Json) -> "Hold":
        """From the gateway's JSON."""
        return Hold(
            hop=int(raw["hop"]),
            hold_id=raw["holdId"],
            state=raw["state"],
            entry_seq=int(raw["entrySeq"]),
            entry_hash=raw["entryHash"],
        )


@dataclass(frozen=True)
class Attempt:
    """One try over one route."""

    number: int
    state: str
    route: tuple[str, ...]
    reason: str
    failed_node: str
    opened_at_ms: int
    ended_at_ms: int
    holds: tuple[Hold, ...]

    @staticmethod
    def read(raw: Json) -> "Attempt":
        """From the gateway's JSON."""
        return Attempt(
            number=int(raw["attempt"]),
            state=raw["state"],
            route=tuple(raw["route"]),
            reason=raw.get("reason") or "",
            failed_node=raw.get("failedNode") or "",
            opened_at_ms=int(raw.get("openedAtMs") or 0),
            ended_at_ms=int(raw.get("endedAtMs") or 0),
            holds=tuple(Hold.read(hold) for hold in raw.get("holds") or ()),
        )


@dataclass(frozen=True)
class Payment:
    """A payment as the ledger has it. `raw` is the answer itself, for -o json."""

    payment_id: str
    state: str
    from_node: str
    to_node: str
    amount: str
    fee: str
    currency: str
    route: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    created_at_ms: int
    ended_at_ms: int
    refusal_code: str
    refusal_detail: str
    raw: Json

    @staticmethod
    def read(raw: Json) -> "Payment":
        """From the gateway's JSON."""
        return Payment(
            payment_id=raw["paymentId"],
            state=raw["state"],
            from_node=raw["from"],
            to_node=raw["to"],
            amount=raw["amount"],
            fee=raw.get("fee") or "",
            currency=raw["currency"],
            route=tuple(raw.get("route") or ()),
            attempts=tuple(Attempt.read(attempt) for attempt in raw.get("attempts") or ()),
            created_at_ms=int(raw.get("createdAtMs") or 0),
            ended_at_ms=int(raw.get("endedAtMs") or 0),
            refusal_code=raw.get("refusalCode") or "",
            refusal_detail=raw.get("refusalDetail") or "",
            raw=raw,
        )


@dataclass(frozen=True)
class Finding:
    """The first bad place of one kind."""

    kind: str
    seq: int
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What recomputing the chain and the sums found."""

    ok: bool
    entries: int
    head_seq: int
    head_hash: str
    anchored_seq: int
    unanchored: int
    anchors_unread: str  # why the anchors could not be read; empty when they were
    findings: tuple[Finding, ...]
    sums: Mapping[str, str]
    elapsed_ms: int
    raw: Json

    @staticmethod
    def read(raw: Json) -> "Verdict":
        """From the gateway's JSON."""
        if not isinstance(raw["ok"], bool):
            # Any text that is not empty would pass for a yes.
            raise TypeError(f"ok is {raw['ok']!r}")
        return Verdict(
            ok=raw["ok"],
            entries=int(raw["entries"]),
            head_seq=int(raw["headSeq"]),
            head_hash=raw["headHash"],
            anchored_seq=int(raw["anchoredSeq"]),
            unanchored=int(raw["unanchored"]),
            anchors_unread=raw.get("anchorsUnread") or "",
            findings=tuple(
                Finding(finding["kind"], int(finding["seq"]), finding["detail"])
                for finding in raw["findings"]
            ),
            sums=dict(raw["sums"]),
            elapsed_ms=int(raw["elapsedMs"]),
            raw=raw,
        )


def arrow(route: Sequence[str]) -> str:
    """A route as people write it: A-B-D."""
    return "-".join(node.upper() if len(node) == 1 else node for node in route)
