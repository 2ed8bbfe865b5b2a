"""kopf watches; what it sees goes into the mirror, and the key it concerns into the queue. Nothing is decided here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kopf

from plmop.actions import GROUP, VERSION, Manifest, ObjectKey
from plmop.canary import Canary
from plmop.mesh_node.manifests import owner_name
from plmop.mesh_node.spec import KIND, PLURAL
from plmop.mirror import Mirror
from plmop.queue import WorkQueue

Event = Mapping[str, Any]

# Then the process ends, and kubelet starts another.
_RETRIES_MAX = 120


@dataclass(frozen=True)
class Watcher:
    """What kopf calls. `other_secret_changed`: the Secret of no node, perhaps the CA."""

    namespace: str
    mirror: Mirror
    queue: WorkQueue[ObjectKey]
    canary: Canary
    other_secret_changed: Callable[[], None]

    async def node_changed(self, event: Event, **_: Any) -> None:
        """A MeshNode."""
        if self._take_in(KIND, event):
            self._add(_name(event))

    async def deployment_changed(self, event: Event, **_: Any) -> None:
        """A Deployment."""
        self._child_changed("Deployment", event)

    async def service_changed(self, event: Event, **_: Any) -> None:
        """A Service."""
        self._child_changed("Service", event)

    async def secret_changed(self, event: Event, **_: Any) -> None:
        """A Secret."""
        self._child_changed("Secret", event)

    async def lease_changed(self, **_: Any) -> None:
        """A Lease: the watches are alive."""
        self.canary.heard()

    def _child_changed(self, kind: str, event: Event) -> None:
        if not self._take_in(kind, event):
            return
        # By name, not by label: a child whose labels somebody took away is still a child.
        owner = owner_name(kind, _name(event))
        if owner:
            self._add(owner)
        elif kind == "Secret":
            self.other_secret_changed()

    def _take_in(self, kind: str, event: Event) -> bool:
        manifest: Manifest = event["object"]
        if event["type"] == "DELETED":
            return self.mirror.lost(kind, manifest)
        return self.mirror.saw(kind, manifest)

    def _add(self, name: str) -> None:
        self.queue.add(ObjectKey(self.namespace, name))


def _name(event: Event) -> str:
    return str(event["object"]["metadata"]["name"])


def build_registry(watcher: Watcher) -> kopf.OperatorRegistry:
    """All watches of the operator.

    Always with group and version: without them kopf scans every API group when it starts, and one that is
    broken would keep the operator from starting.
    """
    registry = kopf.OperatorRegistry()
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(watcher.node_changed)
    kopf.on.event("apps", "v1", "deployments", registry=registry)(watcher.deployment_changed)
    kopf.on.event("", "v1", "services", registry=registry)(watcher.service_changed)
    kopf.on.event("", "v1", "secrets", registry=registry)(watcher.secret_changed)
    kopf.on.event("coordination.k8s.io", "v1", "leases", registry=registry)(watcher.lease_changed)
    kopf.on.login(registry=registry)(_log_in)
    return registry


def _log_in(**arguments: Any) -> Any:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)


def watch_settings() -> kopf.OperatorSettings:
    """Settings that make kopf a pure watcher: it writes nothing, posts nothing, and leaves no trace on any object."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.watching.server_timeout = 240
    settings.watching.reconnect_backoff = 0.2
    # An API server that restarts is back in seconds, and two seconds are all that a repair may take.
    settings.networking.error_backoffs = (0.2, 0.5, *[1.0] * _RETRIES_MAX)
    return settings
