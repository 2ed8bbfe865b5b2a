"""Who gets through the door: no certificate, another authority's, a stale or early one, another name: nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from plm.domain import ids
from plm.domain.errors import Code, Refused, Unavailable
from plm.domain.mesh import LinkPolicy
from plm.domain.orders import Hop
from plm.domain.relay import HOP_TIMEOUT_MS, ForwardTask
from plm.stores.peers import PeerClient
from plm.transport import channels
from plm.transport.channels import Channels
from plm.transport.identity import node_of, require, spiffe_name
from plm.transport.tls import TlsSettings
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import NodeStub
from support.echo_node import GATEWAY_NAMES, NODE_NAME, NODE_NAMES, Listening, Mounted, listening
from support.leaves import Authority, Validity, new_authority, write_leaf

TASK = ForwardTask("p", 1, "USD", (Hop("b", "d", 1, LinkPolicy(0)),), 0, 1000)
CALL_S = 5.0
VALIDITY = {"expired": Validity.OVER, "not valid yet": Validity.NOT_YET}


async def outcome(client: Path, target: str) -> str:
    """`ok`, or the code of what a client with this folder's certificate meets."""
    opened = Channels(TlsSettings(directory=client))
    try:
        await PeerClient(opened, lambda _: target).forward("b", TASK, CALL_S)
    except Unavailable as error:
        return str(error.code)
    finally:
        await opened.close()
    return "ok"


async def test_a_certificate_of_our_authority_is_let_in_and_its_name_is_known(
    node: Listening, gateway_tls: Mounted
) -> None:
    """The control: what the refused ones below lack is what this one has."""
    assert await outcome(gateway_tls.folder, node.target) == "ok"
    assert node.node.callers == [ids.service_spiffe("gateway")]


@pytest.mark.parametrize("fault", ["another authority", "expired", "not valid yet"])
async def test_a_callers_bad_certificate_opens_nothing(
    node: Listening, authority: Authority, tmp_path: Path, fault: str
) -> None:
    leaf = write_leaf(
        tmp_path / "bad",
        new_authority() if fault == "another authority" else authority,
        GATEWAY_NAMES,
        trusted=authority.certificate,
        valid=VALIDITY.get(fault, Validity.NOW),
    )
    assert await outcome(leaf, node.target) == Code.NODE_UNREACHABLE
    assert node.node.callers == []


@pytest.mark.parametrize(
    "fault", ["another authority", "expired", "not valid yet", "another name", "a service's"]
)
async def test_a_servers_bad_certificate_is_told_nothing(
    authority: Authority, gateway_tls: Mounted, tmp_path: Path, fault: str
) -> None:
    """Whoever sits at a node's address without its certificate gets no payment to see."""
    names = {"another name": (ids.node_spiffe("c"), "node-c"), "a service's": GATEWAY_NAMES}
    leaf = write_leaf(
        tmp_path / "bad",
        new_authority() if fault == "another authority" else authority,
        names.get(fault, NODE_NAMES),
        trusted=authority.certificate,
        valid=VALIDITY.get(fault, Validity.NOW),
    )
    async with listening(TlsSettings(directory=leaf)) as impostor:
        assert await outcome(gateway_tls.folder, impostor.target) == Code.NODE_UNREACHABLE
        assert impostor.node.callers == []


@asynccontextmanager
async def slow_way(port: int, delay_s: float) -> AsyncIterator[str]:
    """An address that leads to this port, where nothing is heard for a while."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(65_536):
            writer.write(content)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer.transport):
            await asyncio.sleep(delay_s)
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
            with closing(their_writer.transport):
                both = carry(reader, their_writer), carry(their_reader, writer)
                await asyncio.gather(*both, return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_whoever_is_slow_to_shake_hands_is_spoken_to_all_the_same(
    node: Listening, gateway_tls: Mounted
) -> None:
    """On a machine where everybody wants the cores at once it is no dead peer."""
    async with slow_way(node.grpc.port, 0.15) as target:
        assert await outcome(gateway_tls.folder, target) == "ok"


def test_nobody_there_is_known_within_a_hop_s_time() -> None:
    assert dict(channels.OPTIONS)["grpc.min_reconnect_backoff_ms"] < HOP_TIMEOUT_MS


@asynccontextmanager
async def without_certificate(node: Listening, ca: bytes) -> AsyncIterator[Any]:
    options = [("grpc.ssl_target_name_override", NODE_NAME)]
    credentials = grpc.ssl_channel_credentials(ca)
    async with grpc.aio.secure_channel(node.target, credentials, options=options) as channel:
        yield NodeStub(channel)


async def test_no_certificate_opens_nothing(node: Listening, authority: Authority) -> None:
    async with without_certificate(node, authority.certificate) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Forward(pb.ForwardRequest(), timeout=CALL_S)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert node.node.callers == []


async def test_plain_text_opens_nothing(node: Listening) -> None:
    async with grpc.aio.insecure_channel(node.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await NodeStub(channel).Forward(pb.ForwardRequest(), timeout=CALL_S)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert node.node.callers == []


@pytest.mark.parametrize(
    ("names", "identity"),
    [
        ([b"spiffe://plm.local/node/a"], "spiffe://plm.local/node/a"),
        ([b"node-a", b"spiffe://plm.local/node/a", b"127.0.0.1"], "spiffe://plm.local/node/a"),
        ([], ""),
        ([b"node-a"], ""),
        ([b"spiffe://plm.local/node/a", b"spiffe://plm.local/node/b"], ""),
        ([b"spiffe://plm.local/node/a", b"spiffe://elsewhere/node/a"], ""),
        ([b"spiffe://elsewhere/node/a"], ""),
        ([b"spiffe://plm.local.elsewhere/node/a"], ""),
        ([b"https://plm.local/node/a"], ""),
        ([b"\xff\xfe"], ""),
    ],
)
def test_an_identity_is_the_one_name_of_ours(names: list[bytes], identity: str) -> None:
    assert spiffe_name(names) == identity


@pytest.mark.parametrize(
    ("identity", "node"),
    [
        (ids.node_spiffe("a"), "a"),
        (ids.service_spiffe("gateway"), ""),
        ("spiffe://plm.local/node/", ""),
        ("", ""),
    ],
)
def test_a_node_is_named_by_its_certificate_alone(identity: str, node: str) -> None:
    assert node_of(identity) == node


@pytest.mark.parametrize(
    ("identity", "code"),
    [("", Code.UNAUTHENTICATED), (ids.node_spiffe("a"), Code.FORBIDDEN)],
)
def test_who_is_not_allowed_is_told_so(identity: str, code: Code) -> None:
    require(ids.service_spiffe("gateway"), ids.service_spiffe("gateway"))
    with pytest.raises(Refused) as caught:
        require(identity, ids.service_spiffe("gateway"), ids.service_spiffe("operator"))
    assert caught.value.code is code
