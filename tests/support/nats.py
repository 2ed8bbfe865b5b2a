"""A throwaway nats-server on this host: JetStream on real files, synced on every write, as on the cluster."""

import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plmkit.state import find_places
from support.ports import free_port
from support.waiting import wait_until

_START_S = 60.0
_CONFIGURATION = """
listen: 127.0.0.1:{port}
http: 127.0.0.1:{monitor}
jetstream {{ store_dir: "{folder}/store", sync_interval: always }}
"""


def find_binary() -> str:
    """The pinned nats-server that `plm tools` built."""
    built = find_places().cache / "tools" / "bin" / "nats-server"
    found = str(built) if built.exists() else shutil.which("nats-server")
    assert found, "nats-server is missing: plm tools --with-test-servers"
    return found


@dataclass
class NatsServer:
    """One server process and its folder."""

    folder: Path
    port: int
    monitor: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it is healthy."""
        configuration = self.folder / "nats.conf"
        configuration.write_text(
            _CONFIGURATION.format(port=self.port, monitor=self.monitor, folder=self.folder)
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [find_binary(), "-c", str(configuration)], stdout=log, stderr=log
            )
        wait_until(self._is_healthy, _START_S, "nats-server is healthy")

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}/healthz", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None


@contextmanager
def throwaway_nats() -> Iterator[NatsServer]:
    """A server that is gone, folder and all, when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="plm-nats-"))
    server = NatsServer(folder, free_port(), free_port())
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)
