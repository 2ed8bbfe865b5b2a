"""The children of a MeshNode, as pure functions of its spec."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plm.domain import ids
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.money import parse_amount
from plm.domain.orders import LinkOrder, NodeOrder

from plmop.actions import API_VERSION, FIELD_MANAGER, MANAGED_BY, Manifest, Names
from plmop.conditions import Phase, Verdict
from plmop.mesh_node.spec import KIND, Link, MeshNodeSpec

NODE_LABEL = "plm.dev/node"
COMPONENT = "mesh-node"
CHAOS_LABEL = {"plm.dev/chaos": "allowed"}
# What is there beside what is desired may be somebody else's: by this it shows that we have taken something away.
SPEC_HASH = "plm.dev/spec-hash"

_SPEC_HASH_DIGITS = 16
_HTTP_PORT = 8080
_TLS_FOLDER = "/var/run/plm/tls"
_PREFIX = "node-"
_SECRET_SUFFIX = "-tls"  # noqa: S105 - the end of a name


@dataclass(frozen=True)
class Frame:
    """What all nodes have in common: the operator's settings, as far as they show in a manifest."""

    namespace: str
    image: str
    image_pull_policy: str
    image_pull_secrets: tuple[str, ...]
    service_account: str
    resources: Mapping[str, Mapping[str, str]]
    port: int
    queue_max: int
    debug_enabled: bool
    ledger_target: str
    log_level: str


@dataclass(frozen=True)
class Owner:
    """The object that a child hangs on."""

    name: str
    uid: str
    generation: int = 0

    @property
    def child(self) -> str:
        """Name of its Deployment and Service."""
        return f"{_PREFIX}{self.name}"

    @property
    def secret(self) -> str:
        """Name of its Secret."""
        return f"{self.child}{_SECRET_SUFFIX}"


def owner_name(kind: str, child: str) -> str:
    """Which MeshNode a child of this name belongs to; empty when none can. The inverse of Owner's names."""
    if not child.startswith(_PREFIX):
        return ""
    name = child.removeprefix(_PREFIX)
    if kind != "Secret":
        return name
    return name.removesuffix(_SECRET_SUFFIX) if name.endswith(_SECRET_SUFFIX) else ""


def names(owner: Owner, frame: Frame) -> Names:
    """What a node's certificate is good for."""
    service, namespace = owner.child, frame.namespace
    dns = (
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    )
    return Names(ids.node_spiffe(owner.name), dns)


def _labels(owner: Owner) -> dict[str, str]:
    return {
        **MANAGED_BY,
        "app.kubernetes.io/name": COMPONENT,
        "app.kubernetes.io/instance": owner.child,
        "app.kubernetes.io/component": COMPONENT,
        NODE_LABEL: owner.name,
    }


def _selector(owner: Owner) -> dict[str, str]:
    return {"app.kubernetes.io/component": COMPONENT, NODE_LABEL: owner.name}


def _metadata(owner: Owner, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "labels": _labels(owner),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
            }
        ],
    }


def secret(owner: Owner) -> Manifest:
    """The certificate Secret, without data."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(owner, owner.secret),
        "type": "kubernetes.io/tls",
    }


def service(owner: Owner, frame: Frame) -> Manifest:
    """Where peers, gateway and operator reach the node."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(owner, owner.child),
        "spec": {
            "type": "ClusterIP",
            "selector": _selector(owner),
            "ports": [
                {"name": "grpc", "port": frame.port, "protocol": "TCP", "targetPort": "grpc"}
            ],
        },
    }


def deployment(owner: Owner, spec: MeshNodeSpec, frame: Frame) -> Manifest:
    """The node's one pod."""
    desired = {
        "replicas": 1,
        # Two pods of one node would both take holds on its links: the old one goes first.
        "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": 1,
        "selector": {"matchLabels": _selector(owner)},
        "template": {
            "metadata": {"labels": {**_labels(owner), **CHAOS_LABEL}},
            "spec": _pod(owner, spec, frame),
        },
    }
    text = json.dumps(desired, sort_keys=True, separators=(",", ":"))
    spec_hash = hashlib.sha256(text.encode()).hexdigest()[:_SPEC_HASH_DIGITS]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(owner, owner.child), "annotations": {SPEC_HASH: spec_hash}},
        "spec": desired,
    }


def _pod(owner: Owner, spec: MeshNodeSpec, frame: Frame) -> dict[str, Any]:
    return {
        "serviceAccountName": frame.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **_pull_secrets(frame),
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(owner, spec, frame)],
        "volumes": [{"name": "tls", "secret": {"secretName": owner.secret, "defaultMode": 0o440}}],
    }


def _pull_secrets(frame: Frame) -> dict[str, Any]:
    # An empty list is dropped by the API server, and would be missing for ever.
    names = frame.image_pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in names]} if names else {}


def _container(owner: Owner, spec: MeshNodeSpec, frame: Frame) -> dict[str, Any]:
    return {
        "name": "node",
        "image": frame.image,
        "imagePullPolicy": frame.image_pull_policy,
        "command": ["python", "-m", "plm.node"],
        "env": [{"name": name, "value": value} for name, value in _env(owner, spec, frame).items()],
        "ports": [
            {"name": "grpc", "containerPort": frame.port, "protocol": "TCP"},
            {"name": "http", "containerPort": _HTTP_PORT, "protocol": "TCP"},
        ],
        "startupProbe": _probe("/readyz", period_s=1, failures_max=60),
        "readinessProbe": _probe("/readyz", period_s=5, failures_max=2),
        "livenessProbe": _probe("/livez", period_s=10, failures_max=3),
        "resources": {kind: dict(of) for kind, of in frame.resources.items()},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tls", "mountPath": _TLS_FOLDER, "readOnly": True}],
    }


def _env(owner: Owner, spec: MeshNodeSpec, frame: Frame) -> dict[str, str]:
    return {
        "PLM_NODE_ID": owner.name,
        "PLM_LEDGER__TARGET": frame.ledger_target,
        "PLM_PEER_TARGET": f"{_PREFIX}{{node_id}}:{frame.port}",
        "PLM_WORKERS_MAX": str(spec.workers_max),
        "PLM_QUEUE_MAX": str(frame.queue_max),
        "PLM_DEBUG_ENABLED": "true" if frame.debug_enabled else "false",
        "PLM_GRPC_PORT": str(frame.port),
        "PLM_HTTP_PORT": str(_HTTP_PORT),
        "PLM_LOG_LEVEL": frame.log_level,
    }


def _probe(path: str, *, period_s: int, failures_max: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period_s,
        "timeoutSeconds": 2,
        "failureThreshold": failures_max,
    }


def node_order(owner: Owner, spec: MeshNodeSpec) -> NodeOrder:
    """How the node is registered at the ledger."""
    return NodeOrder(
        owner.name,
        spec.role,
        spec.currency,
        Registration(owner.uid, owner.generation),
        tuple(sorted(link.to for link in spec.links)),
    )


def link_order(owner: Owner, spec: MeshNodeSpec, link: Link) -> LinkOrder:
    """How one of its links is."""
    return LinkOrder(
        owner.name,
        link.to,
        LinkPolicy(parse_amount(link.base_fee, spec.currency), link.fee_rate_ppm, link.latency_ms),
        parse_amount(link.liquidity_volume, spec.currency),
        Registration(owner.uid, owner.generation),
    )


def event(owner: Owner, namespace: str, verdict: Verdict, now_s: float) -> Manifest:
    """An Event that tells of a transition."""
    at = dt.datetime.fromtimestamp(now_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    is_warning = verdict.is_stalled or verdict.phase is Phase.DEGRADED
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{owner.name}.", "namespace": namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": owner.name,
            "namespace": namespace,
            "uid": owner.uid,
        },
        "type": "Warning" if is_warning else "Normal",
        "reason": str(verdict.reason),
        "message": verdict.message[:1024],
        "source": {"component": FIELD_MANAGER},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
