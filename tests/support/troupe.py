"""The operator's parts around a cluster and a ledger that are kept in memory, with a clock that the test turns."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plmop.actions import AskHealth, ObjectKey
from plmop.mesh_node.manifests import Frame
from plmop.mesh_node.plan import Health
from plmop.mesh_node.reconcile import Reconciler
from plmop.mirror import Mirror
from plmop.queue import WorkQueue
from plmop.registrations import Registrations
from plmop.settings import OperatorSettings
from plmop.trust import TrustKeeper
from support.paper_cluster import PaperCluster
from support.paper_ledger import PaperLedger

MIRRORED = ("MeshNode", "Deployment", "Service", "Secret")
LIFETIME_S = 3600
START_S = dt.datetime.now(dt.UTC).timestamp()

FRAME = Frame(
    namespace="plm",
    image="plm.local/services:test",
    image_pull_policy="IfNotPresent",
    image_pull_secrets=(),
    service_account="mesh-node",
    resources={"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
    port=7443,
    queue_max=256,
    debug_enabled=False,
    ledger_target="ledger:7443",
    log_level="info",
)


class Clock:
    """Time that stands still until somebody moves it. All clocks of a run start at the same moment."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s


class Troupe:
    """One life of the operator. Another on the same cluster and ledger is its life after a crash."""

    def __init__(
        self,
        cluster: PaperCluster,
        ledger: PaperLedger,
        clock: Callable[[], float],
        folder: Path,
        **more: Any,
    ) -> None:
        self.cluster = cluster
        self.mirror = Mirror()
        self.queue: WorkQueue[ObjectKey] = WorkQueue()
        self.is_serving = True
        self.questions: list[AskHealth] = []
        self.settings = OperatorSettings(
            node_image=FRAME.image,
            tls={"directory": folder},
            service_certificates=("ledger", "edge"),
            edge_addresses=("198.51.100.2",),
            leaf_lifetime_s=LIFETIME_S,
            **more,
        )
        self.trust = TrustKeeper(cluster, self.mirror, self.settings, clock)
        self.registrations = Registrations(ledger.call)
        self.reconciler = Reconciler(
            cluster,
            self.mirror,
            self.trust,
            self.registrations,
            self.queue,
            FRAME,
            self._ask,
            clock,
        )

    async def _ask(self, question: AskHealth) -> Health:
        self.questions.append(question)
        return Health(question.incarnation, is_serving=self.is_serving, problem="so the test says")

    async def look(self) -> None:
        """Read everything anew, as a resync does."""
        for kind in MIRRORED:
            found, version = await self.cluster.list_all(kind)
            self.mirror.replace(kind, found, version)

    async def start(self) -> None:
        """What a new leader does first."""
        await self.look()
        await self.trust.refresh()
        await self.registrations.refresh()

    async def reconcile(self, name: str) -> None:
        """One reconcile on a fresh view."""
        await self.look()
        await self.reconciler.reconcile(ObjectKey("plm", name))

    def status(self, name: str) -> dict[str, Any]:
        """What the MeshNode's status says."""
        return dict(self.cluster.objects["MeshNode", name].get("status", {}))

    def ready(self, name: str) -> tuple[str, str]:
        """Status and reason of its Ready condition."""
        conditions = self.status(name).get("conditions", ())
        found = {condition["type"]: condition for condition in conditions}
        ready = found.get("Ready", {"status": "", "reason": ""})
        return ready["status"], ready["reason"]


def make_available(cluster: PaperCluster, name: str) -> None:
    """Play the Deployment controller: the newest pod is available."""
    found = cluster.objects["Deployment", f"node-{name}"]
    replicas = found["spec"]["replicas"]
    status = {
        "observedGeneration": found["metadata"].get("generation", 0),
        "replicas": replicas,
        "updatedReplicas": replicas,
        "availableReplicas": replicas,
    }
    cluster.put({**found, "status": status})
