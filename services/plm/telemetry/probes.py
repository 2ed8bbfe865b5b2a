"""The plain HTTP port of a process: /livez, /readyz, /metrics and nothing else. kubelet's gRPC probe speaks no TLS."""

import asyncio
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_REQUEST_BYTES_MAX = 8192
_TIMEOUT_S = 5.0

# Why something is not well, or an empty string.
Verdict = Callable[[], str]


def _well() -> str:
    return ""


class ProbeServer:
    """Answers probes from two verdicts. Liveness never asks a store; readiness may remember what a store said."""

    def __init__(self, port: int, *, live: Verdict = _well, ready: Verdict = _well) -> None:
        self._port = port
        self._verdicts = {"/livez": live, "/readyz": ready}
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on; useful after asking for port 0."""
        if self._server is None:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str = "0.0.0.0") -> None:  # noqa: S104 - a pod's own address; policies say who may ask
        """Listen."""
        self._server = await asyncio.start_server(
            self._serve, host, self._port, limit=_REQUEST_BYTES_MAX
        )

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a prober that went away or talks nonsense needs no answer
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.split(b" ", 1)[0].split(b"?", 1)[0].decode("latin-1")
        if method != b"GET":
            return _response("405 Method Not Allowed", b"only GET\n")
        if path == "/metrics":
            return _response("200 OK", generate_latest(), CONTENT_TYPE_LATEST)
        verdict = self._verdicts.get(path)
        if verdict is None:
            return _response("404 Not Found", b"/livez, /readyz or /metrics\n")
        problem = verdict()
        if problem:
            return _response("503 Service Unavailable", problem.encode() + b"\n")
        return _response("200 OK", b"ok\n")


def _response(status: str, body: bytes, content_type: str = "text/plain; charset=utf-8") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
