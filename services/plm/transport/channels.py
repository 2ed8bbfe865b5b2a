"""Client channels under mutual TLS, one per target, kept warm and rebuilt when our certificate changes."""

import asyncio
from dataclasses import dataclass

import grpc

from plm.transport.tls import TlsSettings, Version, channel_credentials, read_material, read_version

# An old channel takes calls for a while yet, and then is closed when the last of them has ended.
_DRAIN_S = 20.0
_CALL_S_MAX = 310.0  # verifying a long ledger

# A dead peer must show within seconds, and one that comes back must be reached at once.
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Whatever its name says: within this a connection must stand, its handshake included. That takes some milliseconds
    # where both ends have a core for it; less than a hop's time, so that nobody there is known for what it is.
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A Service that was made anew has another address: thirty seconds, the default, is long to ask a dead one.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass
class _Open:
    version: Version
    channel: grpc.aio.Channel


class Channels:
    """All client channels of a process. Use from one event loop."""

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._open: dict[tuple[str, str | None], _Open] = {}
        self._draining: set[asyncio.Task[None]] = set()

    def channel(self, target: str, server_name: str | None = None) -> grpc.aio.Channel:
        """The channel to a target. `server_name`: the DNS name its certificate must carry, if another."""
        name = (target, server_name)
        current = self._open.get(name)
        try:
            if current is not None and current.version == read_version(self._tls):
                return current.channel
            material = read_material(self._tls)
        except (OSError, ValueError):
            if current is None:
                raise
            return current.channel
        options = list(OPTIONS)
        names = [("grpc.ssl_target_name_override", server_name)] if server_name else []
        channel = grpc.aio.secure_channel(
            target, channel_credentials(material), options=[*options, *names]
        )
        self._open[name] = _Open(material.version, channel)
        if current is not None:
            self._drain(current.channel)
        return channel

    def forget(self, target: str, server_name: str | None = None) -> None:
        """Drop a channel so that the next call connects anew, for instance because the peer's pod was replaced."""
        gone = self._open.pop((target, server_name), None)
        if gone is not None:
            self._drain(gone.channel)

    def _drain(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(_close_later(channel))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def close(self) -> None:
        """Close everything now."""
        for task in list(self._draining):
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        for opened in self._open.values():
            await opened.channel.close(None)
        self._open.clear()


async def _close_later(channel: grpc.aio.Channel) -> None:
    try:
        await asyncio.sleep(_DRAIN_S)
        await channel.close(_CALL_S_MAX)
    finally:
        await channel.close(None)
