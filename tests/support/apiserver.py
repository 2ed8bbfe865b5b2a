"""A throwaway Kubernetes API on this host: etcd and kube-apiserver on loopback, no controllers, no nodes."""

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from plmkit.state import find_places
from support.ports import free_port
from support.waiting import wait_until

_START_S = 60.0
_TOKEN = "administrator-of-the-test"


def find_tool(name: str) -> str:
    """A pinned tool that `plm tools` built."""
    built = find_places().cache / "tools" / "bin" / name
    found = str(built) if built.exists() else shutil.which(name)
    assert found, f"{name} is missing: plm tools"
    return found


@dataclass
class ApiServer:
    """One API server with its etcd."""

    folder: Path
    port: int
    etcd_port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def kubeconfig(self) -> Path:
        """For an administrator."""
        return self.folder / "kubeconfig"

    def start(self) -> None:
        """Start both and wait until the API is ready."""
        self._start_etcd()
        self._write_credentials()
        self._start_api()

    def _start_api(self) -> None:
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certificates'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'account.key'}",
            f"--service-account-signing-key-file={self.folder / 'account.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.200.0.0/16",
            "--disable-admission-plugins=ServiceAccount",
        )
        wait_until(self._is_ready, _START_S, "the API server is ready")

    def _start_etcd(self) -> None:
        peer = f"http://127.0.0.1:{free_port()}"
        client = f"http://127.0.0.1:{self.etcd_port}"
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )

    def signal(self, number: signal.Signals) -> None:
        """Send the API server a signal: SIGSTOP makes it deaf, SIGCONT brings it back."""
        self.processes[-1].send_signal(number)

    def restart(self) -> None:
        """SIGKILL it and start another on the same etcd."""
        process = self.processes.pop()
        process.kill()
        process.wait(timeout=30)
        self._start_api()

    def _write_credentials(self) -> None:
        key = self.folder / "account.key"
        subprocess.run(
            ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True
        )
        (self.folder / "tokens.csv").write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
        self.write_kubeconfig(self.kubeconfig, _TOKEN)

    def write_kubeconfig(self, path: Path, token: str) -> None:
        """A kubeconfig for the bearer of a token."""
        cluster = {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(config))

    def _run(self, tool: str, *arguments: str) -> None:
        with (self.folder / f"{tool}.log").open("ab") as log:
            command = [find_tool(tool), *arguments]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _is_ready(self) -> bool:
        return self.kubectl("get", "--raw", "/readyz").returncode == 0

    def kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl; its outcome is the caller's to judge."""
        return subprocess.run(
            [find_tool("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def do(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl, which must succeed. Returns what it says."""
        done = self.kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Apply manifests as a person does."""
        documents = "\n---\n".join(json.dumps(manifest) for manifest in manifests)
        return self.kubectl("apply", "-f", "-", stdin=documents)

    def get(self, kind: str, name: str, namespace: str = "plm") -> dict[str, Any] | None:
        """An object; None when it is not there."""
        done = self.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)) if done.stdout.strip() else None

    def client(self) -> httpx.Client:
        """An administrator's HTTP client, for what kubectl is too slow at."""
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            verify=False,  # noqa: S501 - loopback
            headers={"Authorization": f"Bearer {_TOKEN}"},
            trust_env=False,
            timeout=30,
        )

    def stop(self) -> None:
        """SIGKILL: nothing of it is kept."""
        for process in reversed(self.processes):
            process.kill()
            process.wait(timeout=30)


@contextmanager
def throwaway_apiserver() -> Iterator[ApiServer]:
    """An API server that is gone, folder and all, when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="plm-api-"))
    server = ApiServer(folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
