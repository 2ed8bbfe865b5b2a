"""Errors over the wire, both ways: every code arrives as it was sent, and silence is known for what it is."""

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from plm.domain.errors import Code, PlmError, Refused, Unavailable
from plm.domain.mesh import LinkPolicy
from plm.domain.orders import Hop
from plm.domain.relay import ForwardTask
from plm.stores.peers import PeerClient
from plm.transport import errors
from plm.transport.channels import Channels
from plm.transport.errors import STATUS_OF, error_of, from_rpc, metadata_of
from plm.wire import plm_pb2 as pb
from support.echo_node import Listening, Mounted, confirmed

ROOT = Path(__file__).resolve().parents[3]
TASK = ForwardTask("p", 1, "USD", (Hop("b", "d", 1, LinkPolicy(0)),), 0, 1000)


@pytest_asyncio.fixture
async def peers(node: Listening, gateway_tls: Mounted) -> AsyncIterator[PeerClient]:
    channels = Channels(gateway_tls.tls)
    yield PeerClient(channels, lambda _: node.target)
    await channels.close()


def fails(node: Listening, error: Exception) -> None:
    """Let the node answer so."""

    async def answer() -> pb.ForwardReply:
        raise error

    node.node.answer = answer


async def heard(peers: PeerClient, timeout_s: float = 5.0) -> PlmError:
    with pytest.raises(PlmError) as caught:
        await peers.forward("b", TASK, timeout_s)
    return caught.value


def whole(error: PlmError) -> tuple[object, ...]:
    """Everything that an error says."""
    more = (error.effect_unknown, error.retry_after_ms) if isinstance(error, Unavailable) else ()
    return type(error), error.code, error.detail, *more


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("pause_ms", [None, 0, 250])
async def test_every_error_arrives_whole(
    node: Listening, peers: PeerClient, unknown: bool, pause_ms: int | None
) -> None:
    for code in Code:
        sent = error_of(code, f"why {code}", effect_unknown=unknown, retry_after_ms=pause_ms)
        fails(node, sent)
        assert whole(await heard(peers)) == whole(sent)


def test_every_code_has_a_status() -> None:
    assert STATUS_OF.keys() == set(Code)
    assert grpc.StatusCode.OK not in STATUS_OF.values()


def raised() -> Iterator[tuple[str, Code, str]]:
    """Family, code and place of every error that our code makes of a code by its name."""
    for home in ("services/plm", "operator/plmop"):
        for path in sorted((ROOT / home).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args:
                    for named in ast.walk(call.args[0]):
                        if isinstance(named, ast.Attribute) and ast.unparse(named.value) == "Code":
                            place = f"{path.relative_to(ROOT)}:{call.lineno}"
                            yield call.func.id, Code[named.attr], place


def test_no_error_changes_its_family_on_the_way() -> None:
    """Who waits for a conflict and is sent a refusal takes it for the end of the payment."""
    families = {"Refused", "Conflict", "Unavailable"}
    found = [each for each in raised() if each[0] in families]
    assert {family for family, *_ in found} == families
    changed = [each for each in found if type(error_of(each[1], "why")).__name__ != each[0]]
    assert changed == []


def test_the_page_of_errors_names_the_family_that_arrives() -> None:
    family, listed = "", {}
    for line in (ROOT / "docs/errors.md").read_text().splitlines():
        if heading := re.fullmatch(r"## (\w+)", line):
            family = heading[1]
        elif row := re.match(r"\| `([a-z_]+)` \|", line):
            listed[row[1]] = family
    assert {code: listed[code] for code in Code} == {
        code: type(error_of(code, "why")).__name__ for code in Code
    }


@pytest.mark.parametrize("detail", ["d" * 100_000, "ü€😀" * 30_000, "line\nbreak\r\n\0", ""])
async def test_no_detail_is_too_long_or_too_strange_for_its_code(
    node: Listening, peers: PeerClient, detail: str
) -> None:
    """What outgrows the limit for headers would be lost whole, and a refusal would look like an outage."""
    fails(node, Refused(Code.UNKNOWN_PAYMENT, detail))
    error = await heard(peers)
    assert (type(error), error.code) == (Refused, Code.UNKNOWN_PAYMENT)
    assert error.detail[:100] == detail[:100].replace("\0", "") or not detail


async def test_a_fault_of_the_servers_own_tells_nothing_but_that_it_may_have_happened(
    node: Listening, peers: PeerClient
) -> None:
    fails(node, RuntimeError("a password in a message"))
    error = await heard(peers)
    assert isinstance(error, Unavailable)
    assert (error.code, error.effect_unknown) == (Code.INTERNAL, True)
    assert "password" not in error.detail


async def test_a_peer_that_takes_too_long_may_have_done_it(
    node: Listening, peers: PeerClient
) -> None:
    async def long() -> pb.ForwardReply:
        await asyncio.Event().wait()
        raise AssertionError

    node.node.answer = long
    error = await heard(peers, timeout_s=0.2)
    assert isinstance(error, Unavailable)
    assert (error.code, error.effect_unknown) == (Code.DEADLINE_EXCEEDED, True)


async def test_a_peer_that_dies_in_mid_call_may_have_done_it(
    node: Listening, peers: PeerClient
) -> None:
    async def dying() -> pb.ForwardReply:
        asyncio.get_running_loop().create_task(node.grpc.server.stop(0))
        await asyncio.Event().wait()
        raise AssertionError

    node.node.answer = dying
    error = await heard(peers)
    assert isinstance(error, Unavailable)
    assert (error.code, error.effect_unknown) == (Code.NODE_UNREACHABLE, True)


async def test_nobody_there_is_unreachable(gateway_tls: Mounted) -> None:
    channels = Channels(gateway_tls.tls)
    error = await heard(PeerClient(channels, lambda _: "127.0.0.1:1"))
    await channels.close()
    assert error.code is Code.NODE_UNREACHABLE


def rpc_error(metadata: Iterable[tuple[str, Any]], status: grpc.StatusCode) -> PlmError:
    """What we make of a status with such trailers."""
    error = grpc.aio.AioRpcError(
        status, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), "why", ""
    )
    return from_rpc(error, Code.LEDGER_UNAVAILABLE)


@pytest.mark.parametrize("pause", ["", "soon", "-1", "1.5", "٣", "9" * 5000, " 1", "1e3"])
def test_a_pause_that_is_no_number_is_none(pause: str) -> None:
    """A peer that is broken, or worse, must not break us."""
    error = rpc_error(
        [(errors.CODE_KEY, "overloaded"), (errors.RETRY_AFTER_KEY, pause)],
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
    assert isinstance(error, Unavailable)
    assert (error.code, error.retry_after_ms) == (Code.OVERLOADED, None)


@pytest.mark.parametrize(
    "metadata", [[], [(errors.CODE_KEY, "of tomorrow")], [(errors.CODE_KEY, b"overloaded")]]
)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.UNAVAILABLE, Code.LEDGER_UNAVAILABLE),
        (grpc.StatusCode.CANCELLED, Code.LEDGER_UNAVAILABLE),
        (grpc.StatusCode.UNIMPLEMENTED, Code.LEDGER_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Code.DEADLINE_EXCEEDED),
    ],
)
def test_without_a_code_of_ours_nobody_has_answered(
    metadata: list[tuple[str, Any]], status: grpc.StatusCode, code: Code
) -> None:
    error = rpc_error(metadata, status)
    assert isinstance(error, Unavailable)
    assert (error.code, error.effect_unknown, error.retry_after_ms) == (code, True, None)


def test_only_what_may_have_happened_is_said_to() -> None:
    assert dict(metadata_of(Refused(Code.NOT_OWNER, "no"))) == {errors.CODE_KEY: "not_owner"}
    unknown = Unavailable(Code.INTERNAL, "no", effect_unknown=True, retry_after_ms=5)
    assert dict(metadata_of(unknown)) == {
        errors.CODE_KEY: "internal",
        errors.EFFECT_UNKNOWN_KEY: "true",
        errors.RETRY_AFTER_KEY: "5",
    }


async def test_an_answer_is_no_error(node: Listening, peers: PeerClient) -> None:
    node.node.answer = confirmed
    assert (await peers.forward("b", TASK, 5)).hold_ids == ("h",)
