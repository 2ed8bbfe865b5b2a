"""A stage for the operator: a real API server, and stand-ins for what a cluster would add to it.

Played by the test: the Deployment controller (every pod is available at once), the ledger (its real decisions, in
memory) and the nodes (one server that answers health for all).
"""

import asyncio
import base64
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from plm.domain.ids import service_spiffe
from plm.transport.server import GrpcServer
from plm.transport.tls import TlsSettings
from plm.wire.plm_pb2_grpc import add_LedgerServicer_to_server
from plmop import crds
from support.apiserver import ApiServer, throwaway_apiserver
from support.leaves import Authority, new_authority, write_leaf
from support.mesh import Service
from support.paper_ledger import PaperLedger
from support.ports import free_port
from support.postgres import ROOT
from support.waiting import wait_until

_T = TypeVar("_T")
_CRD = ROOT / "charts" / "plm-operator" / "crds" / "meshnodes.yaml"
_LOOK_EVERY_S = 0.1
NODES = (*"abcdefgh", "anna", "bert", "clara", "dora", *(f"n{number:02}" for number in range(50)))


class Backstage:
    """An event loop in a thread: servers run there while the test calls kubectl."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Have something done there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)

    def close(self) -> None:
        """End the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=30)
        self.loop.close()


@dataclass
class DeploymentController:
    """Makes the pod of every Deployment available."""

    api: ApiServer
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        url = "/apis/apps/v1/namespaces/plm/deployments"
        with self.api.client() as client:
            while not self._end.wait(_LOOK_EVERY_S):
                # A test may take the API server away.
                with suppress(httpx.TransportError):
                    for found in client.get(url).json().get("items", ()):
                        self._look_at(client, f"{url}/{found['metadata']['name']}", found)

    @staticmethod
    def _look_at(client: httpx.Client, url: str, found: dict[str, Any]) -> None:
        generation = found["metadata"]["generation"]
        if found["status"].get("observedGeneration") == generation:
            return
        replicas = found["spec"]["replicas"]
        status = {
            "observedGeneration": generation,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
        }
        merge = {"Content-Type": "application/merge-patch+json"}
        client.patch(f"{url}/status", json={"status": status}, headers=merge)

    def stop(self) -> None:
        self._end.set()


@dataclass
class Replica(Service):
    """One process of the operator."""

    @property
    def identity(self) -> str:
        """As it stands in the Lease."""
        return self.environment["PLM_POD_NAME"]

    def terminate(self) -> None:
        """SIGTERM, without waiting for the end."""
        assert self.process is not None
        self.process.terminate()

    def metrics(self) -> str:
        """What Prometheus would read."""
        url = f"http://127.0.0.1:{self.http_port}/metrics"
        return httpx.get(url, trust_env=False, timeout=5).text


@dataclass
class Stage:
    """What a test of the whole operator works with."""

    api: ApiServer
    folder: Path
    backstage: Backstage
    authority: Authority
    ledger: PaperLedger
    controller: DeploymentController
    ledger_port: int
    nodes_port: int
    nodes: GrpcServer | None = None
    _operators: int = 0

    def operator(self, **environment: object) -> Replica:
        """A replica of the operator, not started yet."""
        self._operators += 1
        name = f"operator-{self._operators}"
        http_port = free_port()
        common: dict[str, object] = {
            "KUBECONFIG": self.folder / "operator.kubeconfig",
            "PLM_NAMESPACE": "plm",
            "PLM_POD_NAME": name,
            "PLM_NODE_IMAGE": "plm.local/services:test",
            "PLM_TLS__DIRECTORY": self.folder / name,
            "PLM_HTTP_PORT": http_port,
            "PLM_LEDGER__TARGET": f"127.0.0.1:{self.ledger_port}",
            "PLM_NODE_TARGET": f"127.0.0.1:{self.nodes_port}",
            "PLM_SERVICE_CERTIFICATES": '["ledger", "edge"]',
            "PLM_EDGE_ADDRESSES": '["198.51.100.2"]',
            "PLM_LEDGER_POLL_S": 1,
        }
        texts = {key: str(value) for key, value in {**common, **environment}.items()}
        return Replica("plmop", texts, self.folder / f"{name}.log", http_port)

    def clear(self) -> None:
        """Remove all objects. Following owner references is a controller's work, and none runs here."""
        core, apps = "/api/v1/namespaces/plm", "/apis/apps/v1/namespaces/plm"
        ours = "/apis/plm.dev/v1alpha1/namespaces/plm"
        with self.api.client() as client:
            for path in (f"{ours}/meshnodes", f"{apps}/deployments", f"{core}/secrets"):
                client.delete(path).raise_for_status()
            for service in client.get(f"{core}/services").json()["items"]:
                client.delete(f"{core}/services/{service['metadata']['name']}").raise_for_status()
        assert self.api.apply(ca_secret(self.authority)).returncode == 0

    def node(self, name: str) -> dict[str, Any]:
        """A MeshNode as it is now."""
        found = self.api.get("meshnode", name)
        assert found is not None
        return found

    def ready(self, name: str) -> tuple[str, str]:
        """Status and reason of its Ready condition."""
        for condition in self.node(name).get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready":
                return condition["status"], condition["reason"]
        return "", ""

    def is_ready(self, name: str) -> bool:
        """Whether it says so, of the spec that it has now."""
        found = self.node(name)
        is_current = (
            found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
        )
        return is_current and self.ready(name) == ("True", "Ready")

    def set_serving(self, *, serving: bool) -> None:
        """What all nodes say of their health."""
        assert self.nodes is not None
        self.backstage.run(self.nodes.set_serving(serving=serving))


def mesh_node(name: str, **spec: Any) -> dict[str, Any]:
    """A MeshNode as a person writes it."""
    return {
        "apiVersion": "plm.dev/v1alpha1",
        "kind": "MeshNode",
        "metadata": {"name": name, "namespace": "plm"},
        "spec": {"currency": "USD", **spec},
    }


def link(to: str, volume: str = "1000.00", **more: Any) -> dict[str, Any]:
    """One entry of a MeshNode's links."""
    return {"to": to, "liquidityVolume": volume, **more}


def make_ready(stage: Stage, *nodes: dict[str, Any], within_s: float = 20) -> None:
    """Apply MeshNodes and wait until all of them are Ready."""
    done = stage.api.apply(*nodes)
    assert done.returncode == 0, done.stderr
    for name in [str(node["metadata"]["name"]) for node in nodes]:
        wait_until(lambda name=name: stage.is_ready(name), within_s, f"{name} is Ready")  # type: ignore[misc] # bound


def ca_secret(authority: Authority, *also_trusted: Authority) -> dict[str, Any]:
    """Secret plm-ca."""
    bundle = authority.certificate + b"".join(other.certificate for other in also_trusted)
    parts = {"tls.crt": authority.certificate, "tls.key": authority.key, "ca.crt": bundle}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "plm-ca", "namespace": "plm"},
        "data": {name: base64.b64encode(part).decode() for name, part in parts.items()},
    }


async def _serve(stage: Stage) -> tuple[GrpcServer, GrpcServer]:
    tls = stage.folder / "tls"
    trusted = stage.authority.certificate
    spiffe, dns = service_spiffe("ledger"), tuple(f"node-{name}" for name in NODES)
    for name, names in (("ledger", ("ledger",)), ("nodes", dns)):
        write_leaf(tls / name, stage.authority, (spiffe, *names), trusted=trusted)
    ledger = GrpcServer(TlsSettings(directory=tls / "ledger"), stage.ledger_port, "127.0.0.1")
    add_LedgerServicer_to_server(stage.ledger, ledger.server)
    nodes = GrpcServer(TlsSettings(directory=tls / "nodes"), stage.nodes_port, "127.0.0.1")
    for server in (ledger, nodes):
        await server.start()
        await server.set_serving(serving=True)
    return ledger, nodes


_BROKEN_API = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1beta1.metrics.k8s.io"},
    "spec": {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"name": "nobody", "namespace": "plm"},
        "insecureSkipTLSVerify": True,
    },
}


def _add_role(api: ApiServer, kubeconfig: Path) -> None:
    """The operator runs with the rights of its chart, and no others."""
    kinds = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    metadata = {"name": "plm-operator", "namespace": "plm"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "plm-operator"}
    subject = {"kind": "ServiceAccount", "name": "plm-operator", "namespace": "plm"}
    done = api.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {**kinds, "kind": "Role", "metadata": metadata, "rules": crds.rules()},
        {
            **kinds,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": reference,
            "subjects": [subject],
        },
    )
    assert done.returncode == 0, done.stderr
    token = api.do("create", "token", "plm-operator", "-n", "plm").strip()
    api.write_kubeconfig(kubeconfig, token)


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """A stage without an operator; everything is gone when the block ends."""
    with ExitStack() as stack:
        api = stack.enter_context(throwaway_apiserver())
        api.do("create", "namespace", "plm")
        api.do("apply", "-f", str(_CRD))
        api.do("wait", "--for=condition=Established", "crd/meshnodes.plm.dev")
        _add_role(api, folder / "operator.kubeconfig")
        # An aggregated API whose server is gone must keep nobody from starting.
        assert api.apply(_BROKEN_API).returncode == 0
        backstage = Backstage()
        stack.callback(backstage.close)
        controller = DeploymentController(api)
        stage = Stage(
            api, folder, backstage, new_authority(), PaperLedger(), controller,
            free_port(), free_port(),
        )  # fmt: skip
        (folder / "tls").mkdir()
        assert api.apply(ca_secret(stage.authority)).returncode == 0
        ledger, nodes = backstage.run(_serve(stage))
        stage.nodes = nodes
        stack.callback(lambda: [backstage.run(server.drain(0)) for server in (ledger, nodes)])
        thread = threading.Thread(target=controller.run)
        thread.start()
        stack.callback(thread.join, 30)
        stack.callback(controller.stop)
        yield stage
