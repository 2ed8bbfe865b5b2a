"""The whole vocabulary of effects: what a plan may ask for. Data only; others carry it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plm.domain.errors import Code
from plm.domain.orders import LinkOrder, NodeOrder

Manifest = Mapping[str, Any]

FIELD_MANAGER = "plm-operator"
GROUP = "plm.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

MANAGED_BY = {"app.kubernetes.io/managed-by": FIELD_MANAGER, "app.kubernetes.io/part-of": "plm"}


@dataclass(frozen=True, order=True)
class ObjectKey:
    """Which custom resource. The only way to name one inside the operator."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Names:
    """What a leaf certificate is good for: its SPIFFE name, the DNS names and addresses it answers to."""

    spiffe: str
    dns: tuple[str, ...]
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Apply:
    """Bring an object to this state, by server-side apply."""

    manifest: Manifest


@dataclass(frozen=True)
class Delete:
    """Remove an object that no apply can put right. Only this very one: a successor has another uid."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class Issue:
    """Fill a Secret with a certificate, and apply it. `manifest` is the Secret without data.

    Why a new key and certificate; when empty, the present ones stay and only the trusted authorities change.
    """

    manifest: Manifest
    names: Names
    why: str


@dataclass(frozen=True)
class RegisterNode:
    """Tell the ledger who this node is and which links it declares."""

    order: NodeOrder


@dataclass(frozen=True)
class RegisterLink:
    """Tell the ledger the terms and the declared volume of one link."""

    order: LinkOrder


@dataclass(frozen=True)
class Refusal:
    """A definite no of the ledger to one registration, kept until the next resync so that it is not asked all day."""

    order: NodeOrder | LinkOrder
    code: Code
    detail: str


@dataclass(frozen=True)
class AskHealth:
    """Ask the node itself, over mutual TLS, whether it serves. `incarnation` names the pod that is meant."""

    node_id: str
    incarnation: str


Action = Apply | Delete | Issue | RegisterNode | RegisterLink | AskHealth


@dataclass(frozen=True)
class Plan:
    """What to do next and why, in one sentence. `again_s`: look again after this time, whatever happens."""

    actions: tuple[Action, ...]
    reason: str
    again_s: float | None = field(default=None, compare=False)
