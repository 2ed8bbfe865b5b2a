"""The probe port: what kubelet and Prometheus hear, and that nobody can make it say or do more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plm.telemetry import probes
from plm.telemetry.probes import ProbeServer
from prometheus_client import Counter

SEEN = Counter("plm_test_probes_total", "Something to find among the metrics.")


@dataclass
class Verdicts:
    """Why something is not well."""

    live: str = ""
    ready: str = ""


@asynccontextmanager
async def probing(verdicts: Verdicts | None = None) -> AsyncIterator[httpx.AsyncClient]:
    said = verdicts or Verdicts()
    server = ProbeServer(0, live=lambda: said.live, ready=lambda: said.ready)
    await server.start("127.0.0.1")
    base_url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
        yield client
    await server.close()


async def test_a_process_that_is_well_says_so() -> None:
    async with probing() as client:
        for path in ("/livez", "/readyz", "/readyz?verbose=1"):
            response = await client.get(path)
            assert (response.status_code, response.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("verdicts", "live", "ready"),
    [
        (Verdicts(ready="no mesh from the ledger"), 200, 503),
        (Verdicts(live="stuck"), 503, 200),
    ],
)
async def test_liveness_and_readiness_are_two_verdicts_and_give_their_reason(
    verdicts: Verdicts, live: int, ready: int
) -> None:
    async with probing(verdicts) as client:
        answers = [await client.get("/livez"), await client.get("/readyz")]
    assert [answer.status_code for answer in answers] == [live, ready]
    [failed] = [answer for answer in answers if answer.status_code == 503]
    assert failed.text.strip() == (verdicts.live or verdicts.ready)


async def test_a_verdict_is_asked_anew_each_time() -> None:
    verdicts = Verdicts(ready="not yet")
    async with probing(verdicts) as client:
        assert (await client.get("/readyz")).status_code == 503
        verdicts.ready = ""
        assert (await client.get("/readyz")).status_code == 200


async def test_metrics_are_what_prometheus_reads() -> None:
    SEEN.inc()
    async with probing() as client:
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "plm_test_probes_total 1.0" in response.text


@pytest.mark.parametrize("path", ["/", "/v1/nodes", "/livez/", "//livez", "/metrics/x", "/LIVEZ"])
async def test_there_is_nothing_else(path: str) -> None:
    async with probing() as client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_one_can_only_ask(method: str) -> None:
    async with probing() as client:
        assert (await client.request(method, "/readyz")).status_code == 405


async def raw(port: int, sent: bytes, *, ends: bool = True) -> bytes:
    """What comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if ends:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


@settings(max_examples=50)
@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda head: head + b"\r\n\r\n"))
def test_nonsense_gets_an_answer_or_none_and_the_next_one_is_served(sent: bytes) -> None:
    async def story() -> tuple[bytes, bytes]:
        server = ProbeServer(0)
        await server.start("127.0.0.1")
        answers = (
            await raw(server.port, sent),
            await raw(server.port, b"GET /livez HTTP/1.1\r\n\r\n"),
        )
        await server.close()
        return answers

    nonsense, next_one = asyncio.run(story())
    assert nonsense == b"" or nonsense.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
    assert next_one.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_endless_request_is_cut_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_TIMEOUT_S", 60)
    server = ProbeServer(0)
    await server.start("127.0.0.1")
    # More than it takes, and no more than lies in the socket at its first look: what lies there unread when it
    # hangs up is answered with a reset.
    endless = b"GET /livez HTTP/1.1\r\nX: " + b"x" * 20_000
    assert await raw(server.port, endless, ends=False) == b""
    await server.close()
    assert caplog.records == [], "no prober makes noise in the log"


async def test_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_TIMEOUT_S", 0.05)
    server = ProbeServer(0)
    await server.start("127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await server.close()


async def test_a_closed_server_no_longer_listens() -> None:
    server = ProbeServer(0)
    assert server.port == 0
    await server.close()
    await server.start("127.0.0.1")
    port = server.port
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
