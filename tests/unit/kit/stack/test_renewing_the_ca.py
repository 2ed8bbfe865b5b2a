"""Another CA for a stack that is there: at no moment does `plm` distrust what a server may still show."""

import shutil
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from plmkit.commands import down
from plmkit.console import ExitCode, KitError
from plmkit.credentials import load_credentials
from plmkit.stack import Workspace, making
from support.leaves import Authority, write_leaf
from support.paper_pulumi import PaperPulumi, secrets_of

_END = "-----END CERTIFICATE-----"


@pytest.fixture
def workspace(pulumi: PaperPulumi, workspace: Workspace) -> Workspace:
    """Of a stack that was made."""
    making.init(workspace)
    return workspace


class Edge:
    """A server whose certificate this or that CA signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.server.socket = self._context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_port}"

    def show(self, values: dict[str, str]) -> None:
        """From now on, a certificate by the CA of these secrets."""
        signer = Authority(values["caCertificate"].encode(), values["caKey"].encode())
        shutil.rmtree(self._folder, ignore_errors=True)
        leaf = write_leaf(self._folder, signer, ["localhost"], trusted=b"")
        self._context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")

    def stop(self) -> None:
        """Leave nobody at its address."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def edge(tmp_path: Path, workspace: Workspace) -> Iterator[Edge]:
    made = Edge(tmp_path / "edge")
    making._configure(workspace, "apiUrl", made.url)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.stop()
    thread.join()


def trusted(workspace: Workspace) -> list[str]:
    text = workspace.authority.read_text()
    return [f"{each.strip()}\n{_END}\n" for each in text.split(f"{_END}")[:-1]]


def one(text: str) -> str:
    return f"{text.split(_END, maxsplit=1)[0].strip()}\n{_END}\n"


def test_another_authority_is_trusted_beside_all_before_it(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    """Servers show certificates of any of them for a while. All else stays as it is."""
    key = load_credentials(workspace.credentials).api_key
    found = [secrets_of(workspace, pulumi)]
    for _ in range(2):
        making.renew_authority(workspace)
        found.append(secrets_of(workspace, pulumi))
        changed = {name for name in found[-1] if found[-1][name] != found[-2][name]}
        assert changed == {"caCertificate", "caKey"}
        pair = load_pem_x509_certificate(found[-1]["caCertificate"].encode())
        private = load_pem_private_key(found[-1]["caKey"].encode(), None)
        assert pair.public_key() == private.public_key()
    assert trusted(workspace) == [one(each["caCertificate"]) for each in reversed(found)]
    assert load_credentials(workspace.credentials).api_key == key


def test_our_own_trust_comes_before_the_authority_that_needs_it(
    pulumi: PaperPulumi, workspace: Workspace
) -> None:
    """Killed between the two, a run leaves an authority that nobody uses, not one that nobody trusts."""
    before = secrets_of(workspace, pulumi)
    pulumi.refuse("config set")
    with pytest.raises(KitError, match="could not do it"):
        making.renew_authority(workspace)
    assert secrets_of(workspace, pulumi) == before
    pulumi.refuse("")
    making.renew_authority(workspace)
    assert len(trusted(workspace)) == 3
    assert trusted(workspace)[-1] == one(before["caCertificate"])


def test_a_new_key_leaves_our_trust_as_it_is(pulumi: PaperPulumi, workspace: Workspace) -> None:
    making.renew_authority(workspace)
    before = trusted(workspace)
    workspace.credentials.unlink()
    making.init(workspace)
    assert trusted(workspace) == before


def test_images_that_come_meanwhile_are_not_lost(
    pulumi: PaperPulumi, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`plm dev` writes them into the file that is being replaced: it waits for its turn."""
    encrypt, others = making._encrypt, []

    def slow(*arguments: object) -> None:
        other = threading.Thread(target=making.set_images, args=(workspace, {"services": "new"}))
        other.start()
        others.append(other)
        encrypt(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "_encrypt", slow)
    making.renew_authority(workspace)
    others[0].join(10)
    assert "services: new" in workspace.configuration.read_text()


def test_the_old_one_is_forgotten_once_the_edge_shows_the_new_one(
    pulumi: PaperPulumi, workspace: Workspace, edge: Edge
) -> None:
    edge.show(secrets_of(workspace, pulumi))
    making.renew_authority(workspace)
    before = trusted(workspace)
    with pytest.raises(KitError, match="still shows a certificate of another CA"):
        making.forget_authorities(workspace)
    assert trusted(workspace) == before
    after = secrets_of(workspace, pulumi)
    edge.show(after)
    making.forget_authorities(workspace)
    assert trusted(workspace) == [one(after["caCertificate"])]
    assert secrets_of(workspace, pulumi) == after


def test_an_edge_that_is_not_there_proves_nothing(
    pulumi: PaperPulumi, workspace: Workspace, edge: Edge
) -> None:
    making.renew_authority(workspace)
    before = trusted(workspace)
    edge.stop()
    with pytest.raises(KitError, match="does not show its certificate") as caught:
        making.forget_authorities(workspace)
    assert caught.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
    assert trusted(workspace) == before


def test_an_edge_that_hangs_up_proves_nothing(pulumi: PaperPulumi, workspace: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        making._configure(workspace, "apiUrl", f"https://localhost:{door.getsockname()[1]}")
        making.renew_authority(workspace)
        before = trusted(workspace)

        def hang_up() -> None:
            connection, _ = door.accept()
            at_once = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(KitError, match="does not show its certificate"):
            making.forget_authorities(workspace)
        thread.join()
    assert trusted(workspace) == before


def test_an_edge_that_says_nothing_is_given_up_and_told(
    pulumi: PaperPulumi, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plmkit.stack.edge_certificate._PATIENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as door:
        making._configure(workspace, "apiUrl", f"https://localhost:{door.getsockname()[1]}")
        making.renew_authority(workspace)
        with pytest.raises(KitError, match="does not show its certificate: no answer within 0 s"):
            making.forget_authorities(workspace)


@pytest.mark.parametrize("name", [".ca.crt.new", ".ca.tiny-prod.crt.new"])
def test_what_a_killed_renewal_leaves_is_purged(name: str) -> None:
    assert down._is_ours(name)
