"""The gateway's HTTPS door: only the edge gets in, a renewed certificate is shown at once, an end lets answers out."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from plm.domain import ids
from plm.gateway import serving
from plm.gateway.settings import GatewaySettings
from plm.transport.tls import TlsSettings, Version
from plm.transport.tls import read_version as reading_version
from starlette.types import Receive, Scope, Send
from support.echo_node import GATEWAY_NAMES, Mounted, served_serial
from support.leaves import Authority, Validity, new_authority, write_leaf
from support.ports import free_port
from support.waiting import until

EDGE = ids.service_spiffe("edge")
SHUT = (ssl.SSLError, ConnectionError)


@dataclass
class Door:
    """A serving gateway whose application counts and may be held back."""

    authority: Authority
    mounted: Mounted
    folder: Path
    settings: GatewaySettings
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve, until told to stop."""
        self.work = asyncio.create_task(
            serving.serve(self, self.settings, self.stop, self.listening)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    def leaf(
        self, name: str, names: Sequence[str], valid: Validity = Validity.NOW,
        authority: Authority | None = None,
    ) -> Path:  # fmt: skip
        """A client's certificate, in a folder of its own."""
        signer, trusted = authority or self.authority, self.authority.certificate
        return write_leaf(self.folder / name, signer, names, trusted=trusted, valid=valid)

    async def get(self, leaf: Path | None) -> httpx.Response:
        """One request on a new connection."""
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        context.check_hostname = False
        if leaf is not None:
            context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=5) as client:
            return await client.get(f"https://127.0.0.1:{self.settings.https_port}/")


@pytest_asyncio.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(serving, "_LOOK_EVERY_S", 0.01)
    authority, mounted = new_authority(), Mounted(tmp_path / "gateway")
    mounted.issue(authority, GATEWAY_NAMES)
    settings = GatewaySettings(tls=mounted.tls, https_port=free_port(), drain_s=5)
    door = Door(authority, mounted, tmp_path, settings)
    door.may_answer.set()
    door.start()
    assert door.work is not None
    assert not door.listening.is_set()
    await until(door.listening.is_set, 5, "it listens")
    yield door
    door.stop.set()
    door.may_answer.set()
    await door.work


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_it_is_said_to_listen_when_it_does(door: Door) -> None:
    """Readiness hangs on it: an edge that is sent here must not find the door shut."""
    assert await _listens(door.settings.https_port)
    door.stop.set()
    await until(lambda: not door.listening.is_set(), 5, "it says that it takes nobody any more")


async def test_the_edge_gets_in(door: Door) -> None:
    response = await door.get(door.leaf("edge", (EDGE, "edge")))
    assert (response.status_code, response.content) == (200, b"hello")
    assert "server" not in response.headers


async def test_nobody_else_does_and_no_request_of_theirs_is_read(door: Door) -> None:
    stranger = new_authority()
    leaves = [
        None,
        door.leaf("node", (ids.node_spiffe("a"), "edge")),
        door.leaf("nameless", ("edge",)),
        door.leaf("two", (EDGE, ids.node_spiffe("a"))),
        door.leaf("stranger", (EDGE, "edge"), authority=stranger),
        door.leaf("expired", (EDGE, "edge"), Validity.OVER),
        door.leaf("early", (EDGE, "edge"), Validity.NOT_YET),
    ]
    for leaf in leaves:
        with pytest.raises(httpx.TransportError):
            await door.get(leaf)
    assert door.asked == 0


async def test_plain_http_is_not_spoken(door: Door) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://127.0.0.1:{door.settings.https_port}/")
    assert door.asked == 0


async def test_a_renewed_certificate_is_shown_without_a_restart(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks_in_vain = 0

    def read_version(tls: TlsSettings) -> Version:
        nonlocal looks_in_vain
        try:
            return reading_version(tls)
        except OSError:
            looks_in_vain += 1
            raise

    monkeypatch.setattr(serving, "read_version", read_version)
    edge, port = door.leaf("edge", (EDGE, "edge")), door.settings.https_port
    shown = 0

    async def look_until(serial: int) -> None:
        nonlocal shown
        while shown != serial:
            shown = await served_serial(port, edge, alpn="http/1.1")

    for _ in range(2):
        async with asyncio.timeout(5):
            await look_until(door.mounted.issue(door.authority, GATEWAY_NAMES))
    door.mounted.swap_to("..version-none")  # in the middle of a swap
    await until(lambda: looks_in_vain > 1, 5, "it has looked, and looks again")
    assert await served_serial(port, edge, alpn="http/1.1") == shown
    async with asyncio.timeout(5):
        await look_until(door.mounted.issue(door.authority, GATEWAY_NAMES))


async def ask(
    door: Door,
    client: ssl.SSLContext,
    name: str | None = None,
    session: ssl.SSLSession | None = None,
) -> ssl.SSLSession | None:
    """One request on a new connection, to a server of this name or of none; the session, to resume it by.

    Raises SSLError or ConnectionError when the door stays shut.
    """

    def connect() -> ssl.SSLSession | None:
        address = ("127.0.0.1", door.settings.https_port)
        with (
            socket.create_connection(address, timeout=5) as plain,
            client.wrap_socket(plain, server_hostname=name, session=session) as connection,
        ):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: plm\r\nConnection: close\r\n\r\n")
            if not connection.recv(4096):
                raise ConnectionResetError
            return connection.session

    return await asyncio.to_thread(connect)


@pytest.mark.parametrize("name", [None, "gateway"], ids=["no name", "a name"])
async def test_a_ca_that_was_retired_opens_nothing_any_more(door: Door, name: str | None) -> None:
    """Without a restart, and whether it is asked for by its name or by an address, as the edge does."""
    old, new = door.authority, new_authority()
    both = old.certificate + new.certificate
    clients, folders = [], []
    for number, authority in enumerate((old, new)):
        names = (EDGE, "edge")
        folders.append(write_leaf(door.folder / f"{number}", authority, names, trusted=both))
        client = ssl.create_default_context(cadata=both.decode())
        client.check_hostname = False
        client.load_cert_chain(folders[-1] / "tls.crt", folders[-1] / "tls.key")
        clients.append(client)

    async def change(trusted: bytes) -> None:
        serial = door.mounted.issue(new, GATEWAY_NAMES, trusted=trusted)
        async with asyncio.timeout(5):
            while await served_serial(door.settings.https_port, folders[1], "http/1.1") != serial:
                pass

    of_old, of_new = clients
    with pytest.raises(SHUT):
        await ask(door, of_new, name)
    await change(both)
    await ask(door, of_new, name)
    session = await ask(door, of_old, name)
    await change(new.certificate)
    await ask(door, of_new, name)
    asked = door.asked
    for known in (None, session):
        with pytest.raises(SHUT):
            await ask(door, of_old, name, known)
    assert door.asked == asked


@pytest.mark.parametrize("file", ["tls.crt", "tls.key", "ca.crt"])
async def test_a_certificate_that_was_spoilt_changes_nothing(
    door: Door, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody edited the Secret: the door goes on with what it has, until there is a whole one again."""
    edge, port = door.leaf("edge", (EDGE, "edge")), door.settings.https_port
    serial = await served_serial(port, edge, alpn="http/1.1")
    looks_in_vain = 0
    load = serving._context

    def counted(tls: TlsSettings) -> ssl.SSLContext:
        nonlocal looks_in_vain
        try:
            return load(tls)
        except OSError:
            looks_in_vain += 1
            raise

    monkeypatch.setattr(serving, "_context", counted)
    door.mounted.issue(door.authority, GATEWAY_NAMES)
    (door.mounted.folder / file).write_bytes(b"no PEM")
    await until(lambda: looks_in_vain > 1, 5, "it has looked, and looks again")
    assert await served_serial(port, edge, alpn="http/1.1") == serial
    assert (await door.get(edge)).content == b"hello"
    whole = door.mounted.issue(door.authority, GATEWAY_NAMES)
    async with asyncio.timeout(5):
        while await served_serial(port, edge, alpn="http/1.1") != whole:
            pass


async def test_a_certificate_that_is_renewed_while_it_starts_is_shown(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[int] = []
    load = serving._context

    def load_and_renew(tls: TlsSettings) -> ssl.SSLContext:
        loaded = load(tls)
        if not renewed:
            renewed.append(door.mounted.issue(door.authority, GATEWAY_NAMES))
        return loaded

    monkeypatch.setattr(serving, "_context", load_and_renew)
    settings = door.settings.model_copy(update={"https_port": free_port()})
    other = replace(door, settings=settings, listening=asyncio.Event(), work=None)
    other.start()
    await until(other.listening.is_set, 5, "it listens")
    edge = door.leaf("edge", (EDGE, "edge"))
    async with asyncio.timeout(5):
        while await served_serial(settings.https_port, edge, alpn="http/1.1") != renewed[0]:
            pass
    door.stop.set()
    assert other.work is not None
    await other.work


async def test_an_end_lets_answers_out_and_nobody_in(door: Door) -> None:
    edge = door.leaf("edge", (EDGE, "edge"))
    door.may_answer.clear()
    under_way = asyncio.create_task(door.get(edge))
    await until(lambda: door.asked == 1, 5, "the request has arrived")
    door.stop.set()
    async with asyncio.timeout(5):
        while await _listens(door.settings.https_port):
            pass
    assert door.work is not None
    assert not door.work.done(), "it waits for what runs"
    door.may_answer.set()
    assert (await under_way).content == b"hello"
    with contextlib.suppress(httpx.TransportError):
        await door.get(edge)
        pytest.fail("it was let in")
