"""A gateway over real HTTPS that settles whatever is well-formed, once per key: for `plm` as a process of its own."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from support.https import served

API_KEY = "a-key-of-the-test"


class FakeGateway:
    """Counts what was paid; `before_answer` may hold a request back."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.paid: dict[str, dict[str, Any]] = {}
        self.state = "settled"  # of every payment
        self.before_answer: Callable[[str], object] = lambda key: None
        self.verdict: dict[str, Any] = {
            "ok": True,
            "entries": 3,
            "headSeq": 3,
            "headHash": "ab" * 32,
            "anchoredSeq": 3,
            "unanchored": 0,
            "findings": [],
            "sums": {"USD": "0.00"},
            "elapsedMs": 2,
        }
        self._lock = threading.Lock()

    async def post(self, request: Request) -> JSONResponse:
        """One request, which may be held back without keeping others waiting."""
        body = json.loads(await request.body() or b"{}")
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            return JSONResponse({"code": "unauthenticated", "detail": "no such key"}, 401)
        key = request.headers.get("idempotency-key", "")
        status, content = await run_in_threadpool(self.answer, request.url.path, key, body)
        return JSONResponse(content, status)

    def answer(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """What a gateway says."""
        if path == "/v1/ledger/verify":
            return 200, self.verdict
        with self._lock:
            self.asked[key] += 1
        self.before_answer(key)
        if float(body["amount"]) <= 0:
            return 400, {"code": "invalid_amount", "detail": "an amount is above zero"}
        with self._lock:
            return 200, self.paid.setdefault(key, _receipt(key, body) | {"state": self.state})


def _receipt(key: str, body: dict[str, Any]) -> dict[str, Any]:
    route = [body["from"], "b", body["to"]]
    attempt = {"attempt": 1, "state": "posted", "route": route, "holds": []}
    return {
        "paymentId": f"pay_{key}",
        "state": "settled",
        **body,
        "fee": "1.00",
        "route": route,
        "attempts": [attempt],
        "createdAtMs": 1,
        "endedAtMs": 2,
    }


@contextmanager
def running_gateway(state: Path) -> Iterator[FakeGateway]:
    """A fake gateway, with the credentials for it in this state folder."""
    authority, gateway = trustme.CA(), FakeGateway()
    app = Starlette(routes=[Route("/{path:path}", gateway.post, methods=["POST"])])
    authority.cert_pem.write_to_path(state / "ca.crt")
    with served(app, authority) as port:
        credentials = {
            "apiUrl": f"https://127.0.0.1:{port}",
            "apiKey": API_KEY,
            "caFile": str(state / "ca.crt"),
        }
        (state / "credentials.json").write_text(json.dumps(credentials))
        yield gateway
