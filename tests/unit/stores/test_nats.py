"""The connection to the bus: it is made in the end, whatever the first tries meet, and says what is odd about them."""

import asyncio
from typing import Any

import nats.errors
import pytest
import structlog
from plm.stores import nats as store
from plm.stores.nats import NatsSettings, open_bus
from support import virtual_time

PATIENCE_S = 30


class Client:
    """NATS's client, which fails to connect in these ways first."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.is_connected = False
        self.asked: list[dict[str, Any]] = []

    async def connect(self, _url: str, **options: Any) -> None:
        self.asked.append(options)
        if self._failures:
            raise self._failures.pop(0)
        self.is_connected = True

    def jetstream(self, **_options: object) -> object:
        return object()

    async def close(self) -> None:
        self.is_connected = False


def connected(client: Client, monkeypatch: pytest.MonkeyPatch, settings: NatsSettings) -> bool:
    """Whether the bus is there after a while."""
    monkeypatch.setattr(store, "Client", lambda: client)

    async def story() -> bool:
        async with open_bus(settings) as bus:
            await asyncio.sleep(PATIENCE_S)
            return bus.is_connected

    return virtual_time.run(story())


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionRefusedError("refused"),
        nats.errors.NoServersError(),
        TimeoutError(),
        EOFError("in the middle of a line"),
        ValueError("not what a server says"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_failed_try_is_followed_by_another(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(failure, failure, failure)
    assert connected(client, monkeypatch, NatsSettings())
    assert len(client.asked) == 4


def test_an_odd_failure_is_logged_and_a_usual_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not up yet is no news; what nobody expected is looked for in the log."""
    client = Client(ConnectionRefusedError("refused"), ValueError("not what a server says"))
    with structlog.testing.capture_logs() as logs:
        assert connected(client, monkeypatch, NatsSettings())
    assert [(each["log_level"], each["event"]) for each in logs] == [
        ("error", "Failed to connect to NATS")
    ]


def test_half_a_second_is_not_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    assert connected(client, monkeypatch, NatsSettings(connect_timeout_s=0.5))
    assert [each["connect_timeout"] for each in client.asked] == [0.5]
