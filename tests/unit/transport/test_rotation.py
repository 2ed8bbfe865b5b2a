"""Certificates that change under running processes: the new one is served and shown at once, and no call is lost."""

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from plm.domain.errors import Unavailable
from plm.domain.mesh import LinkPolicy
from plm.domain.orders import Hop
from plm.domain.relay import ForwardTask
from plm.stores.peers import PeerClient
from plm.transport import channels as channels_module
from plm.transport.channels import Channels
from plm.transport.tls import TlsSettings, read_material, read_version
from plm.wire import plm_pb2 as pb
from support.echo_node import (
    GATEWAY_NAMES,
    NODE_NAMES,
    Listening,
    Mounted,
    confirmed,
    listening,
    served_serial,
)
from support.leaves import Authority, new_authority
from support.waiting import until

CLOSED = grpc.ChannelConnectivity.SHUTDOWN
TASK = ForwardTask("p", 1, "USD", (Hop("b", "d", 1, LinkPolicy(0)),), 0, 1000)


@asynccontextmanager
async def calling(mounted: Mounted, node: Listening) -> AsyncIterator[tuple[Channels, PeerClient]]:
    channels = Channels(mounted.tls)
    try:
        yield channels, PeerClient(channels, lambda _: node.target)
    finally:
        await channels.close()


async def test_a_server_shows_its_new_leaf_without_a_restart(
    node: Listening, node_tls: Mounted, gateway_tls: Mounted, authority: Authority
) -> None:
    serials = []
    for _ in range(3):
        serials.append(node_tls.issue(authority, NODE_NAMES))
        assert await served_serial(node.grpc.port, gateway_tls.folder) == serials[-1]
    assert len(set(serials)) == 3


async def test_a_call_under_way_outlives_the_servers_and_the_callers_change(
    node: Listening, node_tls: Mounted, gateway_tls: Mounted, authority: Authority
) -> None:
    may_answer = asyncio.Event()

    async def long() -> pb.ForwardReply:
        await may_answer.wait()
        return await confirmed()

    async with calling(gateway_tls, node) as (_, peers):
        node.node.answer = long
        under_way = asyncio.create_task(peers.forward("b", TASK, 5))
        await until(lambda: bool(node.node.callers), 5, "the call has arrived")
        node_tls.issue(authority, NODE_NAMES)
        gateway_tls.issue(authority, GATEWAY_NAMES)
        node.node.answer = confirmed
        assert (await peers.forward("b", TASK, 5)).hold_ids == ("h",)
        may_answer.set()
        assert (await under_way).hold_ids == ("h",)


async def test_a_client_comes_with_its_new_leaf_at_the_next_call(
    node: Listening, gateway_tls: Mounted, authority: Authority
) -> None:
    async with calling(gateway_tls, node) as (_, peers):
        await peers.forward("b", TASK, 5)
        [first] = node.node.serials
        second = gateway_tls.issue(authority, GATEWAY_NAMES)
        await peers.forward("b", TASK, 5)
        assert node.node.serials == [first, second]
        assert first != second


async def test_a_channel_is_kept_while_nothing_changes(
    node: Listening, gateway_tls: Mounted, authority: Authority
) -> None:
    async with calling(gateway_tls, node) as (channels, _):
        first = channels.channel("t:1", "node-b")
        assert channels.channel("t:1", "node-b") is first
        assert channels.channel("t:1", "node-c") is not first, "another name is another channel"
        gateway_tls.issue(authority, GATEWAY_NAMES)
        second = channels.channel("t:1", "node-b")
        assert second is not first
        channels.forget("t:1", "node-b")
        channels.forget("t:1", "node-z")
        assert channels.channel("t:1", "node-b") is not second


async def test_an_old_channel_is_closed_when_its_last_call_has_ended(
    node: Listening,
    gateway_tls: Mounted,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long that takes: a verification of the ledger may be under way for minutes."""
    monkeypatch.setattr(channels_module, "_DRAIN_S", 0.01)
    may_answer = asyncio.Event()

    async def long() -> pb.ForwardReply:
        await may_answer.wait()
        return await confirmed()

    async with calling(gateway_tls, node) as (channels, peers):
        node.node.answer = long
        old = channels.channel(node.target, "node-b")
        close, is_closing = old.close, asyncio.Event()

        async def seen(grace_s: float | None) -> None:
            is_closing.set()
            await close(grace_s)

        monkeypatch.setattr(old, "close", seen)
        under_way = asyncio.create_task(peers.forward("b", TASK, 5))
        await until(lambda: bool(node.node.callers), 5, "the call has arrived")
        gateway_tls.issue(authority, GATEWAY_NAMES)
        node.node.answer = confirmed
        await peers.forward("b", TASK, 5)
        await asyncio.wait_for(is_closing.wait(), 5)
        may_answer.set()
        assert (await under_way).hold_ids == ("h",)
        await until(lambda: old.get_state() is CLOSED, 5, "the old channel is closed")
        assert channels.channel(node.target, "node-b").get_state() is not CLOSED


async def test_a_change_of_authority_goes_by_trusting_both_and_then_the_new_alone(
    node: Listening, node_tls: Mounted, gateway_tls: Mounted, authority: Authority
) -> None:
    """Old and new leaves talk while both are trusted; afterwards the old authority opens nothing."""
    new = new_authority()
    both = authority.certificate + new.certificate
    async with calling(gateway_tls, node) as (_, peers):
        for ours, theirs in ((authority, authority), (new, authority), (new, new)):
            node_tls.issue(ours, NODE_NAMES, trusted=both)
            gateway_tls.issue(theirs, GATEWAY_NAMES, trusted=both)
            await peers.forward("b", TASK, 5)
        node_tls.issue(new, NODE_NAMES, trusted=new.certificate)
        gateway_tls.issue(new, GATEWAY_NAMES, trusted=new.certificate)
        await peers.forward("b", TASK, 5)
        gateway_tls.issue(authority, GATEWAY_NAMES, trusted=both)
        with pytest.raises(Unavailable):
            await peers.forward("b", TASK, 5)


async def test_a_leaf_that_is_missing_for_a_moment_changes_nothing(
    node: Listening, node_tls: Mounted, gateway_tls: Mounted, authority: Authority
) -> None:
    """In the middle of a swap: whoever looks then goes on with what it has, and sees the new one later."""
    serial = await served_serial(node.grpc.port, gateway_tls.folder)
    async with calling(gateway_tls, node) as (channels, peers):
        await peers.forward("b", TASK, 5)
        channel = channels.channel(node.target, "node-b")
        for mounted in (node_tls, gateway_tls):
            mounted.swap_to("..version-none")
        assert channels.channel(node.target, "node-b") is channel
        await peers.forward("b", TASK, 5)
        gateway_tls.issue(authority, GATEWAY_NAMES)
        assert await served_serial(node.grpc.port, gateway_tls.folder) == serial
        fresh = node_tls.issue(authority, NODE_NAMES)
        assert await served_serial(node.grpc.port, gateway_tls.folder) == fresh


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *itertools.product(("tls.crt", "tls.key", "ca.crt"), (b"", b"no PEM")),
        ("tls.crt", None),
        ("tls.key", None),
    ],
    ids=str,
)
async def test_a_leaf_that_was_spoilt_changes_nothing(  # noqa: PLR0913, PLR0917 - both ends, and what is spoilt
    node: Listening,
    node_tls: Mounted,
    gateway_tls: Mounted,
    authority: Authority,
    file: str,
    content: bytes | None,  # None: that of another leaf
) -> None:
    """Somebody edited the Secret: both ends go on with what they have until there is a whole one again."""
    serial = await served_serial(node.grpc.port, gateway_tls.folder)
    async with calling(gateway_tls, node) as (channels, peers):
        await peers.forward("b", TASK, 5)
        channel = channels.channel(node.target, "node-b")
        own = shutil.copytree(gateway_tls.folder, gateway_tls.folder.with_name("own"))
        for mounted in (node_tls, gateway_tls):
            former = (mounted.folder / file).read_bytes()
            mounted.issue(authority, NODE_NAMES)
            (mounted.folder / file).write_bytes(former if content is None else content)
        assert channels.channel(node.target, "node-b") is channel
        assert await served_serial(node.grpc.port, own) == serial
        fresh = node_tls.issue(authority, NODE_NAMES)
        assert await served_serial(node.grpc.port, own) == fresh


def test_files_are_read_as_one_set_through_the_link(
    node_tls: Mounted, authority: Authority
) -> None:
    first = read_material(node_tls.tls)
    assert first.version == read_version(node_tls.tls)
    node_tls.issue(authority, NODE_NAMES)
    second = read_material(node_tls.tls)
    assert second.version == read_version(node_tls.tls) != first.version
    assert {first.certificate, first.key}.isdisjoint({second.certificate, second.key})


@pytest.mark.parametrize("file", ["tls.crt", "tls.key", "ca.crt"])
def test_each_of_the_files_counts_where_they_change_without_a_swap(
    node_tls: Mounted, tmp_path: Path, file: str
) -> None:
    """A plain folder, as outside Kubernetes: who trusts another CA must not go on with the old one."""
    plain = TlsSettings(directory=shutil.copytree(node_tls.folder / "..data", tmp_path / "plain"))
    before = read_version(plain)
    stat = (plain.directory / file).stat()
    os.utime(plain.directory / file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert read_version(plain) != before
    assert read_material(plain).version == read_version(plain)


def test_two_files_whose_times_move_in_opposite_ways_are_another_set(
    node_tls: Mounted, tmp_path: Path
) -> None:
    plain = TlsSettings(directory=shutil.copytree(node_tls.folder / "..data", tmp_path / "plain"))
    before = read_version(plain)
    for file, step_ns in (("tls.crt", 1), ("tls.key", -1)):
        stat = (plain.directory / file).stat()
        os.utime(plain.directory / file, ns=(stat.st_atime_ns, stat.st_mtime_ns + step_ns))
    assert read_version(plain) != before


async def test_without_any_certificate_there_is_no_server_and_no_channel(
    node_tls: Mounted,
) -> None:
    node_tls.swap_to("..version-none")
    with pytest.raises(OSError, match="No such file"):
        Channels(node_tls.tls).channel("t:1")
    with pytest.raises(OSError, match="No such file"):
        async with listening(node_tls.tls):
            pass
