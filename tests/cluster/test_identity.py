"""Mutual TLS on the running platform: no certificate, another CA's, an expired one, another's identity: all refused."""

import base64
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from plm.domain.errors import Code
from plm.domain.ids import node_spiffe, service_spiffe
from plm.transport.errors import from_rpc
from plm.wire import plm_pb2
from plm.wire.plm_pb2_grpc import LedgerStub
from support.leaves import Authority, Validity, new_authority, write_leaf
from support.platform import Platform
from support.wiretap import forwarded, ledger_as

pytestmark = pytest.mark.cluster


@pytest.fixture
def authority(platform: Platform) -> Authority:
    """The platform's own CA."""
    [secret] = platform.kubectl.get("secret", "plm-ca")
    certificate, key = (base64.b64decode(secret["data"][name]) for name in ("tls.crt", "tls.key"))
    return Authority(certificate, key)


@pytest.fixture
def ledger(platform: Platform) -> Iterator[str]:
    """A local address of the ledger."""
    with forwarded(platform.kubectl, "service/ledger", 7443) as address:
        yield address


async def refusal_of(call: Awaitable[Any]) -> Code:
    """The code of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc(refused.value, Code.LEDGER_UNAVAILABLE).code


async def ask_for_the_graph(folder: Path, address: str) -> Any:
    async with ledger_as(folder, address) as stub:
        return await stub.GraphSnapshot(plm_pb2.GraphSnapshotRequest(), timeout=5)


async def test_the_gateways_own_certificate_is_let_in(
    authority: Authority, ledger: str, tmp_path: Path
) -> None:
    """The control: what the refused ones below lack is what this one has."""
    folder = write_leaf(
        tmp_path / "leaf", authority, [service_spiffe("gateway")], trusted=authority.certificate
    )
    snapshot = await ask_for_the_graph(folder, ledger)
    assert {"a", "b", "c", "d"} <= {node.node_id for node in snapshot.nodes}


async def test_an_expired_certificate_is_refused(
    authority: Authority, ledger: str, tmp_path: Path
) -> None:
    folder = write_leaf(
        tmp_path / "leaf",
        authority,
        [service_spiffe("gateway")],
        trusted=authority.certificate,
        valid=Validity.OVER,
    )
    assert await refusal_of(ask_for_the_graph(folder, ledger)) is Code.LEDGER_UNAVAILABLE


async def test_a_certificate_of_another_authority_is_refused(
    authority: Authority, ledger: str, tmp_path: Path
) -> None:
    folder = write_leaf(
        tmp_path / "leaf",
        new_authority(),
        [service_spiffe("gateway")],
        trusted=authority.certificate,
    )
    assert await refusal_of(ask_for_the_graph(folder, ledger)) is Code.LEDGER_UNAVAILABLE


async def test_nobody_without_a_certificate_is_let_in(authority: Authority, ledger: str) -> None:
    credentials = grpc.ssl_channel_credentials(authority.certificate)
    options = [("grpc.ssl_target_name_override", "ledger")]
    async with grpc.aio.secure_channel(ledger, credentials, options=options) as channel:
        call = LedgerStub(channel).GraphSnapshot(plm_pb2.GraphSnapshotRequest(), timeout=5)
        assert await refusal_of(call) is Code.LEDGER_UNAVAILABLE


async def test_nobody_without_tls_is_let_in(ledger: str) -> None:
    async with grpc.aio.insecure_channel(ledger) as channel:
        call = LedgerStub(channel).GraphSnapshot(plm_pb2.GraphSnapshotRequest(), timeout=5)
        assert await refusal_of(call) is Code.LEDGER_UNAVAILABLE


@pytest.mark.parametrize(
    ("identity", "ask"),
    [
        (
            node_spiffe("a"),
            lambda stub: stub.RegisterNode(
                plm_pb2.RegisterNodeRequest(node_id="z", currency="USD")
            ),
        ),
        (
            node_spiffe("a"),
            lambda stub: stub.Transfer(
                plm_pb2.TransferRequest(
                    transfer_id="theft",
                    debit_account="link/b/d",
                    credit_account="link/a/b",
                    amount="100",
                    currency="USD",
                )
            ),
        ),
        (
            service_spiffe("gateway"),
            lambda stub: stub.RegisterNode(
                plm_pb2.RegisterNodeRequest(node_id="z", currency="USD")
            ),
        ),
        (
            service_spiffe("edge"),
            lambda stub: stub.GraphSnapshot(plm_pb2.GraphSnapshotRequest()),
        ),
    ],
    ids=["a node registers", "a node transfers", "the gateway registers", "the edge reads"],
)
async def test_an_identity_may_do_its_own_and_nothing_else(
    authority: Authority,
    ledger: str,
    tmp_path: Path,
    identity: str,
    ask: Callable[[Any], Awaitable[Any]],
) -> None:
    folder = write_leaf(tmp_path / "leaf", authority, [identity], trusted=authority.certificate)
    async with ledger_as(folder, ledger) as stub:
        assert await refusal_of(ask(stub)) in {Code.FORBIDDEN, Code.NOT_OWNER}
