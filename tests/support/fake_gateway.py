"""A gateway over real HTTPS that settles whatever is well-formed, once per key: for `plm` as a process of its own."""

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

API_KEY = "a-key-of-the-test"


class FakeGateway(ThreadingHTTPServer):
    """Counts what was paid; `before_answer` may hold a request back."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeGateway

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
        if self.headers["authorization"] != f"Bearer {API_KEY}":
            self._send(401, {"code": "unauthenticated", "detail": "no such key"})
            return
        key = self.headers.get("idempotency-key", "")
        self._send(*self.server.answer(self.path, key, body))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server uses
        """Say nothing."""


@contextmanager
def running_gateway(state: Path) -> Iterator[FakeGateway]:
    """A fake gateway, with the credentials for it in this state folder."""
    authority = trustme.CA()
    gateway = FakeGateway()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    gateway.socket = context.wrap_socket(gateway.socket, server_side=True)
    ca_file = state / "ca.crt"
    authority.cert_pem.write_to_path(ca_file)
    credentials = {
        "apiUrl": f"https://127.0.0.1:{gateway.server_port}",
        "apiKey": API_KEY,
        "caFile": str(ca_file),
    }
    (state / "credentials.json").write_text(json.dumps(credentials))
    thread = threading.Thread(target=gateway.serve_forever, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        gateway.shutdown()
        gateway.server_close()
        thread.join()
