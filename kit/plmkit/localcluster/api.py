"""The few calls to the API server that booting needs. No client library: this answers while kubectl still loads."""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plmkit.console import KitError
from plmkit.localcluster.layout import API_PORT, NODE_ADDRESS

_TIMEOUT_S = 5.0
_FIELD_MANAGER = "plm-localcluster"
# Plural and whether objects live in a namespace, for the kinds among the cluster's own manifests.
_COLLECTIONS = {
    "ServiceAccount": ("serviceaccounts", True),
    "ConfigMap": ("configmaps", True),
    "Service": ("services", True),
    "Deployment": ("deployments", True),
    "ClusterRole": ("clusterroles", False),
    "ClusterRoleBinding": ("clusterrolebindings", False),
    "StorageClass": ("storageclasses", False),
}


class Unreachable(Exception):
    """The API server did not answer, or not well: ask again later."""


@dataclass(frozen=True)
class Api:
    """Administrator's access to the embedded cluster's API server."""

    authority: Path
    certificate: Path
    key: Path

    def is_ready(self) -> bool:
        """Whether the server answers and its default roles are in place."""
        try:
            self._request("GET", "/readyz")
        except Unreachable:
            return False
        return True

    def get(self, path: str) -> dict[str, Any]:
        """One object or list."""
        found: dict[str, Any] = json.loads(self._request("GET", path))
        return found

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Server-side apply: the same manifest twice changes nothing."""
        path = f"{object_path(manifest)}?fieldManager={_FIELD_MANAGER}&force=true"
        self._request("PATCH", path, json.dumps(manifest))

    def _request(self, method: str, path: str, body: str | None = None) -> bytes:
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.certificate, self.key)
        connection = http.client.HTTPSConnection(
            NODE_ADDRESS, API_PORT, timeout=_TIMEOUT_S, context=context
        )
        headers = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from error
        finally:
            connection.close()
        return _content(response.status, content, f"{method} {path}")


def object_path(manifest: Mapping[str, Any]) -> str:
    """Where the object of this manifest lives."""
    version: str = manifest["apiVersion"]
    plural, namespaced = _COLLECTIONS[manifest["kind"]]
    metadata = manifest["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    folder = f"/namespaces/{metadata['namespace']}" if namespaced else ""
    return f"{root}{folder}/{plural}/{metadata['name']}"


def _content(status: int, content: bytes, request: str) -> bytes:
    if status < http.HTTPStatus.BAD_REQUEST:
        return content
    text = content.decode(errors="replace")[:300]
    # Right after its start the server refuses what it will allow a moment later (roles, not-yet-made namespaces).
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or status in {403, 404, 429}:
        raise Unreachable(f"{request}: {status} {text}")
    raise KitError(f"{request}: {status} {text}", "plm doctor; then plm up again")
