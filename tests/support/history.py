"""What a client saw, written outside the system under test: every invocation and its outcome, synced, in order.

Kinds of outcome: ok (settled), fail (surely not done), info (unknown: it may have been done).
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from plmkit.problems import Problem
from plmkit.receipts import Order, Payment

EventKind = Literal["invoke", "ok", "fail", "info", "fault"]


@dataclass(frozen=True)
class Event:
    """One line of a history. `number` joins an outcome to its invocation; faults have their own numbers."""

    at_ns: int
    kind: EventKind
    number: int
    key: str = ""
    body: Mapping[str, str] = field(default_factory=dict)
    # ok: the receipt; fail and info: code and detail; fault: what was hit, and whether it bit.
    value: Mapping[str, Any] = field(default_factory=dict)


class History:
    """A file of events that survives the crash of whoever writes it: each event is synced before anything follows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        self._numbers = iter(range(1_000_000_000))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def next_number(self) -> int:
        return next(self._numbers)

    def add(
        self,
        kind: EventKind,
        number: int,
        *,
        key: str = "",
        body: Mapping[str, str] | None = None,
        value: Mapping[str, Any] | None = None,
    ) -> None:
        event = Event(time.monotonic_ns(), kind, number, key, dict(body or {}), dict(value or {}))
        self._file.write(json.dumps(asdict(event)).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_history(path: Path) -> Iterator[Event]:
    """All whole events of a file; a torn last line is no event."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield Event(**json.loads(line))


class Payer(Protocol):
    """What pays: the gateway's client."""

    async def pay(self, order: Order, key: str) -> Payment: ...


class RecordedPayer:
    """Pays through another payer and writes down what was asked and what came back."""

    def __init__(self, payer: Payer, history: History) -> None:
        self._payer = payer
        self._history = history

    async def pay(self, order: Order, key: str) -> Payment:
        number = self._history.next_number()
        self._history.add("invoke", number, key=key, body=order.body())
        outcome: EventKind = "info"
        value: Mapping[str, Any] = {"code": "abandoned"}
        try:
            payment = await self._payer.pay(order, key)
        except Problem as problem:
            outcome = "fail" if problem.is_final else "info"
            value = {"code": problem.code, "detail": problem.detail}
            raise
        else:
            outcome, value = _outcome(payment)
            return payment
        finally:
            # Whatever ends the call, a cancellation too, leaves its mark: an invocation without an outcome is unknown.
            self._history.add(outcome, number, key=key, body=order.body(), value=value)


def _outcome(payment: Payment) -> tuple[EventKind, Mapping[str, Any]]:
    match payment.state:
        case "settled":
            return "ok", payment.raw
        case "refused":
            return "fail", {"code": payment.refusal_code, "detail": payment.refusal_detail}
        case _:
            return "info", {"code": payment.state}
