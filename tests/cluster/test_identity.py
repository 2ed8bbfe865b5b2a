"""Mutual TLS on the running platform: no certificate, another CA's, an expired one, another's identity: all refused."""

import base64
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
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
from support.wiretap import certificate_folder, forwarded, ledger_as

pytestmark = pytest.mark.cluster


async def ask_for_the_graph(folder: Path, address: str) -> Any:
    async with ledger_as(folder, address) as stub:
        return await stub.GraphSnapshot(plm_pb2.GraphSnapshotRequest(), timeout=5)


@dataclass(frozen=True)
class Ledger:
    """A forward to the ledger, and what gets through it: the gateway's own certificate."""

    address: str
    authority: Authority
    folder: Path

    def leaf(
        self,
        name: str,
        *,
        signer: Authority | None = None,
        valid: Validity = Validity.NOW,
    ) -> Path:
        """A certificate of this name, for a client that trusts the platform's CA."""
        folder = self.folder / "asking"
        trusted = self.authority.certificate
        return write_leaf(folder, signer or self.authority, [name], trusted=trusted, valid=valid)

    async def refusal_of(self, call: Awaitable[Any]) -> Code:
        """The code of a call that must fail. A forward that has died would refuse too: over this one, others get in."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        snapshot = await ask_for_the_graph(self.folder / "gateway-tls", self.address)
        assert {"a", "b", "c", "d"} <= {node.node_id for node in snapshot.nodes}
        return from_rpc(refused.value, Code.LEDGER_UNAVAILABLE).code


@pytest.fixture
def ledger(platform: Platform, tmp_path: Path) -> Iterator[Ledger]:
    [secret] = platform.kubectl.get("secret", "plm-ca")
    certificate, key = (base64.b64decode(secret["data"][name]) for name in ("tls.crt", "tls.key"))
    certificate_folder(platform.kubectl, "gateway-tls", tmp_path)
    with forwarded(platform.kubectl, "service/ledger", 7443) as address:
        yield Ledger(address, Authority(certificate, key), tmp_path)


async def test_a_certificate_made_here_is_let_in(ledger: Ledger) -> None:
    """The control: what the refused ones below lack is what this one has."""
    folder = ledger.leaf(service_spiffe("gateway"))
    snapshot = await ask_for_the_graph(folder, ledger.address)
    assert {"a", "b", "c", "d"} <= {node.node_id for node in snapshot.nodes}


async def test_an_expired_certificate_is_refused(ledger: Ledger) -> None:
    folder = ledger.leaf(service_spiffe("gateway"), valid=Validity.OVER)
    call = ask_for_the_graph(folder, ledger.address)
    assert await ledger.refusal_of(call) is Code.LEDGER_UNAVAILABLE


async def test_a_certificate_of_another_authority_is_refused(ledger: Ledger) -> None:
    folder = ledger.leaf(service_spiffe("gateway"), signer=new_authority())
    call = ask_for_the_graph(folder, ledger.address)
    assert await ledger.refusal_of(call) is Code.LEDGER_UNAVAILABLE


async def test_nobody_without_a_certificate_is_let_in(ledger: Ledger) -> None:
    credentials = grpc.ssl_channel_credentials(ledger.authority.certificate)
    options = [("grpc.ssl_target_name_override", "ledger")]
    async with grpc.aio.secure_channel(ledger.address, credentials, options=options) as channel:
        call = LedgerStub(channel).GraphSnapshot(plm_pb2.GraphSnapshotRequest(), timeout=5)
        assert await ledger.refusal_of(call) is Code.LEDGER_UNAVAILABLE


async def test_nobody_without_tls_is_let_in(ledger: Ledger) -> None:
    async with grpc.aio.insecure_channel(ledger.address) as channel:
        call = LedgerStub(channel).GraphSnapshot(plm_pb2.GraphSnapshotRequest(), timeout=5)
        assert await ledger.refusal_of(call) is Code.LEDGER_UNAVAILABLE


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
    ledger: Ledger, identity: str, ask: Callable[[Any], Awaitable[Any]]
) -> None:
    async with ledger_as(ledger.leaf(identity), ledger.address) as stub:
        assert await ledger.refusal_of(ask(stub)) in {Code.FORBIDDEN, Code.NOT_OWNER}
