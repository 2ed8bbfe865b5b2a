"""The ledger spoken to directly, under any identity whose certificate lies in the cluster: for races on purpose."""

import base64
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from plm.transport.channels import Channels
from plm.transport.tls import TlsSettings
from plm.wire.plm_pb2_grpc import LedgerStub
from plmkit.kubectl import Kubectl


@contextmanager
def forwarded(kubectl: Kubectl, target: str, port: int) -> Iterator[str]:
    """A local address that leads to a port of a pod. It enters the pod by the kubelet, so no policy is in its way."""
    command = kubectl.command("port-forward", "--address=127.0.0.1", target, f":{port}")
    forwarder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert forwarder.stdout is not None
        said = forwarder.stdout.readline()
        match = re.search(r"127\.0\.0\.1:\d+", said)
        assert match is not None, f"kubectl port-forward said {said!r}"
        yield match.group()
    finally:
        forwarder.terminate()
        forwarder.communicate()


def certificate_folder(kubectl: Kubectl, secret: str, parent: Path) -> Path:
    """The files of a TLS Secret, as a pod has them mounted."""
    [found] = kubectl.get("secret", secret)
    folder = parent / secret
    folder.mkdir()
    for name, value in found["data"].items():
        (folder / name).write_bytes(base64.b64decode(value))
    return folder


@asynccontextmanager
async def ledger_as(folder: Path, address: str) -> AsyncIterator[LedgerStub]:
    """The ledger, with the identity of the certificate in this folder."""
    channels = Channels(TlsSettings(directory=folder))
    try:
        stub = LedgerStub(channels.channel(address, "ledger"))
        yield stub
    finally:
        await channels.close()
