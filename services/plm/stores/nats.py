"""NATS JetStream: settings, one connection, durable publishing, and an ordered reader from a sequence."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig
from pydantic import BaseModel, ConfigDict

from plm.domain.errors import Code, Unavailable
from plm.wire import subjects

log = structlog.get_logger(__name__)

_LOST = (OSError, TimeoutError, nats.errors.Error, nats.js.errors.Error)

_RETRY_S = 1.0
_DAY_S = 24 * 3600
# A restarted server has forgotten its readers: a missing heartbeat makes them ask again.
_HEARTBEAT_S = 1.0
_LIQUIDITY_BYTES_MAX = 256 * 1024 * 1024
_ANCHOR_BYTES_MAX = 64 * 1024 * 1024


class NatsSettings(BaseModel):
    """Where NATS is and how long we wait for it."""

    model_config = ConfigDict(frozen=True)

    url: str = "nats://nats:4222"
    connect_timeout_s: float = 2.0
    request_timeout_s: float = 5.0
    history_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class BusMessage:
    """A message with its place in the stream."""

    subject: str
    payload: bytes
    sequence: int


def _streams() -> list[StreamConfig]:
    return [
        StreamConfig(
            name=subjects.LIQUIDITY_STREAM,
            subjects=[subjects.LIQUIDITY_SUBJECTS],
            # Several readers, each at its own pace: so limits, not interest.
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=_DAY_S,
            max_bytes=_LIQUIDITY_BYTES_MAX,
        ),
        StreamConfig(
            name=subjects.ANCHOR_STREAM,
            subjects=[subjects.ANCHOR_SUBJECT],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_bytes=_ANCHOR_BYTES_MAX,
            # Anchors testify against the database: nobody may take them out, one by one or all at once.
            deny_delete=True,
            deny_purge=True,
        ),
    ]


class Bus:
    """JetStream as ledger and gateway use it. Raises Unavailable when it cannot be reached."""

    def __init__(self, client: Client, settings: NatsSettings) -> None:
        self._client = client
        self._history_timeout_s = settings.history_timeout_s
        self._jetstream: JetStreamContext = client.jetstream(timeout=settings.request_timeout_s)

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up."""
        return self._client.is_connected

    async def ensure_streams(self) -> None:
        """Create the streams that are missing, and close those that could be emptied and must not."""
        with _unavailable():
            for stream in _streams():
                try:
                    found = (await self._jetstream.stream_info(str(stream.name))).config
                except nats.js.errors.NotFoundError:
                    await self._jetstream.add_stream(stream)
                    continue
                if stream.deny_purge and not found.deny_purge:
                    await self._jetstream.update_stream(
                        found.evolve(deny_delete=True, deny_purge=True)
                    )

    async def publish(self, subject: str, payload: bytes, message_id: str) -> None:
        """Publish once per message id; returns when the stream has it on disk."""
        with _unavailable():
            await self._jetstream.publish(subject, payload, headers={"Nats-Msg-Id": message_id})

    async def last_sequence(self, stream: str) -> int:
        """Sequence of the newest message of a stream."""
        with _unavailable():
            return int((await self._jetstream.stream_info(stream)).state.last_seq)

    async def recent_payloads(self, stream: str, subject: str, count_max: int) -> list[bytes]:
        """The newest messages of a stream with one subject, oldest first; none when there is no such stream."""
        with _unavailable():
            try:
                state = (await self._jetstream.stream_info(stream)).state
            except nats.js.errors.NotFoundError:
                return []
            if not state.messages:
                return []
            found = []
            from_sequence = max(state.first_seq, state.last_seq - count_max + 1)
            async with (
                asyncio.timeout(self._history_timeout_s),
                aclosing(self.follow(subject, from_sequence)) as messages,
            ):
                async for message in messages:
                    found.append(message.payload)
                    if message.sequence >= state.last_seq:
                        break
            return found

    async def follow(self, subject: str, from_sequence: int) -> AsyncGenerator[BusMessage]:
        """Messages from a sequence on, in order, for ever. Raises Unavailable when the flow stops for good."""
        with _unavailable():
            subscription = await self._jetstream.subscribe(
                subject,
                ordered_consumer=True,
                idle_heartbeat=_HEARTBEAT_S,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=from_sequence
                ),
            )
        try:
            async for message in subscription.messages:
                sequence = message.metadata.sequence.stream
                yield BusMessage(message.subject, message.data, sequence)
        except _LOST as error:
            raise Unavailable(Code.NODE_UNREACHABLE, f"NATS: {error!r}") from error
        finally:
            await _quietly(subscription.unsubscribe())


@asynccontextmanager
async def open_bus(settings: NatsSettings) -> AsyncIterator[Bus]:
    """A connection that reconnects for ever, also when the first try fails."""
    client = Client()
    connecting = asyncio.create_task(_connect(client, settings))
    try:
        # The money path does not wait for the bus: a late bus means late events, nothing else.
        await asyncio.wait({connecting}, timeout=settings.connect_timeout_s)
        yield Bus(client, settings)
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await _quietly(client.close())


async def _connect(client: Client, settings: NatsSettings) -> None:
    while True:
        try:
            await client.connect(
                settings.url,
                connect_timeout=settings.connect_timeout_s,  # type: ignore[arg-type] # any number does
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                error_cb=_ignore,
            )
        except _LOST:
            pass  # not there yet
        except Exception:  # whatever it is: without this task there would be no bus until a restart
            log.exception("Failed to connect to NATS")
        else:
            return
        await asyncio.sleep(_RETRY_S)


async def _ignore(_error: Exception) -> None:
    """The library reports each failed reconnect here; callers hear of it when they ask."""


async def _quietly(closing: object) -> None:
    try:
        await closing  # type: ignore[misc] # any awaitable of the library
    except _LOST:
        return  # what is gone needs no closing


class _unavailable:  # noqa: N801 - reads as a statement
    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _LOST):
            raise Unavailable(Code.LEDGER_UNAVAILABLE, f"NATS: {error!r}") from error
