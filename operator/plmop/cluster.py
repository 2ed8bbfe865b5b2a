"""The Kubernetes API: the only module that writes to it, and the list of all that it may do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.core.resource import ApiInfo, ResourceDef
from lightkube.generic_resource import (
    GenericNamespacedResource,
    GenericNamespacedStatus,
    create_api_info,
)
from lightkube.types import PatchType

from plmop import metrics
from plmop.actions import FIELD_MANAGER, GROUP, VERSION, Manifest

_CONFLICT = 409
_MISSING = 404


@dataclass(frozen=True)
class Grant:
    """What the operator may do with one kind. `names`: only with objects of these names, where a verb has a name.

    No name goes with `list`, `watch` and `create`: whoever may do these may do them with all objects of a namespace.
    """

    kind: str
    group: str
    version: str
    plural: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    status_verbs: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """As it stands in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version


LEASE = "plm-operator"

_WATCH = ("list", "watch")

# The operator's Role is generated from this table. An apply needs `create` too: it makes what is missing.
GRANTS = (
    Grant("MeshNode", GROUP, VERSION, "meshnodes", ("get", *_WATCH), status_verbs=("patch",)),
    Grant("Deployment", "apps", "v1", "deployments", ("get", *_WATCH, "create", "patch", "delete")),
    Grant("Service", "", "v1", "services", (*_WATCH, "create", "patch")),
    Grant("Secret", "", "v1", "secrets", (*_WATCH, "create", "patch")),
    Grant("Event", "", "v1", "events", ("create",)),
    Grant(
        "Lease",
        "coordination.k8s.io",
        "v1",
        "leases",
        ("get", *_WATCH, "create", "update"),
        (LEASE,),
    ),
)
_GRANT_OF = {grant.kind: grant for grant in GRANTS}


class ClusterError(Exception):
    """The API refused or did not answer. `status`: the HTTP status, 0 without an answer."""

    def __init__(self, what: str, status: int, detail: str) -> None:
        super().__init__(f"{what}: {detail}")
        self.status = status

    @property
    def is_conflict(self) -> bool:
        """Somebody else wrote in between."""
        return self.status == _CONFLICT

    @property
    def is_missing(self) -> bool:
        """There is no such object, or no such kind."""
        return self.status == _MISSING


class Cluster(Protocol):
    """One namespace of a cluster, as the operator uses it. Raises ClusterError."""

    async def list_all(self, kind: str) -> tuple[list[Manifest], int]:
        """All objects of a kind, and the version at which they were read."""

    async def get(self, kind: str, name: str) -> Manifest | None:
        """One object; None when it is not there."""

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply: our fields become ours again, everybody else's stay. Returns the object as it is now."""

    async def apply_status(self, kind: str, name: str, status: Mapping[str, Any]) -> Manifest:
        """Server-side apply of a status: the whole of it is ours."""

    async def delete(self, kind: str, name: str, uid: str) -> None:
        """Delete this very object; gone already is fine, and a successor stays."""

    async def tell(self, event: Manifest) -> None:
        """Create an Event."""

    async def create_lease(self, lease: Manifest) -> Manifest:
        """Create a Lease; a conflict when another was faster."""

    async def replace_lease(self, lease: Manifest) -> Manifest:
        """Replace a Lease as it was read; a conflict when somebody wrote in between."""


class ApiCluster:
    """The Cluster behind an API server. With `may_write`, it refuses to write while that says no: a leader's fence."""

    def __init__(
        self, client: AsyncClient, namespace: str, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        # lightkube's overloads know its own classes only, not resources made for plain dictionaries.
        self._client: Any = client
        self._namespace = namespace
        self._may_write = may_write

    def guarded(self, may_write: Callable[[], bool]) -> "ApiCluster":
        """The same cluster behind a fence: two leaders must never both act."""
        return ApiCluster(self._client, self._namespace, may_write)

    async def list_all(self, kind: str) -> tuple[list[Manifest], int]:
        """All objects of a kind, and the version at which they were read."""
        found = self._client.list(_resource(kind), namespace=self._namespace)
        try:
            # Items of a list do not say of which kind they are.
            head = {"apiVersion": _GRANT_OF[kind].api_version, "kind": kind}
            objects: list[Manifest] = [{**head, **_plain(item)} async for item in found]
        except httpx2.HTTPError as error:
            raise _cluster_error(f"listing {kind}", error) from error
        return objects, int(found.resourceVersion)

    async def get(self, kind: str, name: str) -> Manifest | None:
        """One object; None when it is not there."""
        try:
            found = await self._client.get(_resource(kind), name, namespace=self._namespace)
        except httpx2.HTTPError as error:
            failed = _cluster_error(f"reading {kind} {name}", error)
            if failed.is_missing:
                return None
            raise failed from error
        return _plain(found)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply: our fields become ours again, everybody else's stay. Returns the object as it is now."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        return await self._patch(f"applying {kind} {name}", _resource(kind), name, manifest)

    async def apply_status(self, kind: str, name: str, status: Mapping[str, Any]) -> Manifest:
        """Server-side apply of a status: the whole of it is ours."""
        body = {
            "apiVersion": _GRANT_OF[kind].api_version,
            "kind": kind,
            "metadata": {"name": name},
            "status": dict(status),
        }
        return await self._patch(f"writing the status of {kind} {name}", _status(kind), name, body)

    async def _patch(self, what: str, resource: Any, name: str, body: Manifest) -> Manifest:
        self._check_leading(what)
        metrics.WRITES.labels(body["kind"], "patch").inc()
        try:
            answer = await self._client.patch(
                resource,
                name,
                dict(body),
                namespace=self._namespace,
                patch_type=PatchType.APPLY,
                field_manager=FIELD_MANAGER,
                force=True,
            )
        except httpx2.HTTPError as error:
            raise _cluster_error(what, error) from error
        return _plain(answer)

    async def delete(self, kind: str, name: str, uid: str) -> None:
        """Delete this very object; gone already is fine, and a successor stays."""
        found = await self.get(kind, name)
        if found is None or found["metadata"]["uid"] != uid:
            return
        self._check_leading(f"deleting {kind} {name}")
        metrics.WRITES.labels(kind, "delete").inc()
        try:
            await self._client.delete(_resource(kind), name, namespace=self._namespace)
        except httpx2.HTTPError as error:
            failed = _cluster_error(f"deleting {kind} {name}", error)
            if not failed.is_missing:
                raise failed from error

    async def tell(self, event: Manifest) -> None:
        """Create an Event."""
        await self._create("Event", event)

    async def create_lease(self, lease: Manifest) -> Manifest:
        """Create a Lease; a conflict when another was faster."""
        return await self._create("Lease", lease)

    async def replace_lease(self, lease: Manifest) -> Manifest:
        """Replace a Lease as it was read; a conflict when somebody wrote in between."""
        resource, name = _resource("Lease"), lease["metadata"]["name"]
        metrics.WRITES.labels("Lease", "update").inc()
        try:
            answer = await self._client.replace(
                resource(lease), namespace=self._namespace, field_manager=FIELD_MANAGER
            )
        except httpx2.HTTPError as error:
            raise _cluster_error(f"replacing Lease {name}", error) from error
        return _plain(answer)

    async def _create(self, kind: str, manifest: Manifest) -> Manifest:
        metrics.WRITES.labels(kind, "create").inc()
        try:
            answer = await self._client.create(
                _resource(kind)(manifest), namespace=self._namespace, field_manager=FIELD_MANAGER
            )
        except httpx2.HTTPError as error:
            raise _cluster_error(f"creating {kind}", error) from error
        return _plain(answer)

    def _check_leading(self, what: str) -> None:
        if not self._may_write():
            raise ClusterError(what, 0, "another replica leads now")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def open_cluster(namespace: str) -> ApiCluster:
    """The cluster that we run in, or the one that KUBECONFIG names."""
    # Proxies are for the internet: the API server is next door.
    config = KubeConfig.from_env().get()
    client = AsyncClient(config, namespace, httpx2.Timeout(10.0), trust_env=False)
    return ApiCluster(client, namespace)


def _resource(kind: str) -> Any:
    """A class of lightkube's that stands for a kind, objects being plain dictionaries."""
    grant = _GRANT_OF[kind]
    info = create_api_info(grant.group, grant.version, grant.kind, grant.plural)
    return type(kind, (GenericNamespacedResource,), {"_api_info": info})


def _status(kind: str) -> Any:
    grant = _GRANT_OF[kind]
    head = ResourceDef(grant.group, grant.version, grant.kind)
    info = ApiInfo(head, grant.plural, ["patch"], parent=head, action="status")
    return type(f"{kind}Status", (GenericNamespacedStatus,), {"_api_info": info})


def _plain(answer: Any) -> Manifest:
    return dict(answer)


def _cluster_error(what: str, error: httpx2.HTTPError) -> ClusterError:
    if isinstance(error, ApiError):
        return ClusterError(what, int(error.status.code or 0), str(error.status.message))
    if isinstance(error, httpx2.HTTPStatusError):
        return ClusterError(what, error.response.status_code, str(error))
    return ClusterError(what, 0, str(error) or type(error).__name__)
