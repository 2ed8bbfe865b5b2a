"""The decision: from what a MeshNode is to be and what is there, the next actions. No clock, no I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plm.domain.mesh import Node
from plm.domain.orders import LinkOrder, NodeOrder

from plmop import certificates
from plmop.actions import (
    Action,
    Apply,
    AskHealth,
    Delete,
    Issue,
    Manifest,
    Plan,
    Refusal,
    RegisterLink,
    RegisterNode,
)
from plmop.certificates import Leaf
from plmop.likeness import is_covered
from plmop.mesh_node import manifests
from plmop.mesh_node.manifests import Frame, Owner
from plmop.mesh_node.spec import InvalidSpec, MeshNodeSpec


@dataclass(frozen=True)
class CertificateFacts:
    """What the plan must know of the CA. `bundle` is empty while there is none."""

    bundle: str
    problem: str
    settled_at_s: float
    leaf: Leaf | None


@dataclass(frozen=True)
class LedgerFacts:
    """What the plan must know of the ledger."""

    answers: bool
    problem: str
    node: Node | None
    peers: frozenset[str]  # enabled nodes
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class Health:
    """What a node said of itself."""

    incarnation: str
    is_serving: bool
    problem: str = ""


@dataclass(frozen=True)
class Observed:
    """Everything that one decision needs, read at one moment."""

    owner: Owner
    deployment: Manifest | None
    service: Manifest | None
    secret: Manifest | None
    certificate: CertificateFacts
    ledger: LedgerFacts
    health: Health | None
    now_s: float

    @property
    def incarnation(self) -> str:
        """Names the pod that is available now; empty while none is. Changes whenever another takes over."""
        return _incarnation(self.deployment)


def plan(spec: MeshNodeSpec | InvalidSpec, observed: Observed, frame: Frame) -> Plan:
    """What to do next. Calling it again with its own result applied ends in no action."""
    if isinstance(spec, InvalidSpec):
        return Plan((), f"invalid spec: {spec.problem}")
    if spec.paused:
        return Plan((), "paused: nothing is done while spec.paused is true")
    children = tuple(_children(spec, observed, frame))
    if children:
        return Plan(children, f"bringing {_names(children)} in line")
    registrations = tuple(_registrations(spec, observed))
    if registrations:
        return Plan(registrations, f"registering {_names(registrations)} at the ledger")
    if observed.incarnation and _is_unasked(observed):
        question = AskHealth(observed.owner.name, observed.incarnation)
        return Plan((question,), "asking the node for its health")
    return Plan((), "no action: everything is as declared, or waits for others", _again_s(observed))


def _children(spec: MeshNodeSpec, observed: Observed, frame: Frame) -> Iterator[Action]:
    owner = observed.owner
    yield from _certificate(observed, frame)
    if observed.certificate.bundle or observed.secret is not None:
        desired = manifests.deployment(owner, spec, frame)
        yield from _child(desired, observed.deployment, _has_other_selector)
    yield from _child(manifests.service(owner, frame), observed.service, _is_never)


def _certificate(observed: Observed, frame: Frame) -> Iterator[Action]:
    facts, present = observed.certificate, observed.secret
    if not facts.bundle:
        return
    desired = manifests.secret(observed.owner)
    if present is not None and present.get("type") != desired["type"]:
        # A Secret's type cannot be changed.
        yield Delete("Secret", observed.owner.secret, present["metadata"]["uid"])
        return
    wanted = Issue(desired, manifests.names(observed.owner, frame), "")
    issue = certificates.due(
        facts.leaf, wanted, facts.bundle, now_s=observed.now_s, settled_at_s=facts.settled_at_s
    )
    if issue is not None:
        yield issue
    elif present is None or not is_covered(desired, present):
        # Somebody took its labels or its owner away; key and certificate are fine.
        yield wanted


def _child(desired: Manifest, present: Manifest | None, is_hopeless: Any) -> Iterator[Action]:
    if present is not None and is_hopeless(desired, present):
        yield Delete(desired["kind"], desired["metadata"]["name"], present["metadata"]["uid"])
    elif present is None or not is_covered(desired, present):
        yield Apply(desired)


def _has_other_selector(desired: Manifest, present: Manifest) -> bool:
    # A Deployment's selector cannot be changed.
    return bool(desired["spec"]["selector"] != present["spec"]["selector"])


def _is_never(desired: Manifest, present: Manifest) -> bool:  # noqa: ARG001 - the shape of _child's question
    return False


def _registrations(spec: MeshNodeSpec, observed: Observed) -> Iterator[Action]:
    ledger = observed.ledger
    if not ledger.answers:
        return
    refused = {refusal.order for refusal in ledger.refusals}
    node = manifests.node_order(observed.owner, spec)
    if not is_node_registered(node, ledger.node):
        if node not in refused:
            yield RegisterNode(node)
        return
    for order in missing_links(spec, observed):
        if order.to_node in ledger.peers and order not in refused:
            yield RegisterLink(order)


def missing_links(spec: MeshNodeSpec, observed: Observed) -> list[LinkOrder]:
    """Links that the ledger does not know as they are declared."""
    orders = [manifests.link_order(observed.owner, spec, link) for link in spec.links]
    return [order for order in orders if not _is_link_registered(order, observed.ledger.node)]


def standing_refusals(spec: MeshNodeSpec, observed: Observed) -> list[Refusal]:
    """Refusals of what is still wanted: a corrected spec leaves the others behind."""
    wanted = {manifests.node_order(observed.owner, spec), *missing_links(spec, observed)}
    return [refusal for refusal in observed.ledger.refusals if refusal.order in wanted]


def is_node_registered(order: NodeOrder, known: Node | None) -> bool:
    """Whether the ledger knows a node as declared. A newer generation with the same content is no news."""
    if known is None or not known.enabled:
        return False
    declared = {link.to_node for link in known.links if link.enabled}
    return (
        known.registration.object_uid == order.registration.object_uid
        and (known.role, known.currency) == (order.role, order.currency)
        and declared <= set(order.links_to)
    )


def _is_link_registered(order: LinkOrder, node: Node | None) -> bool:
    return node is not None and any(
        link.enabled
        and link.to_node == order.to_node
        and link.policy == order.policy
        and link.declared_volume == order.declared_volume
        for link in node.links
    )


def _incarnation(deployment: Manifest | None) -> str:
    if deployment is None:
        return ""
    status: Mapping[str, Any] = deployment.get("status", {})
    generation = deployment["metadata"].get("generation", 0)
    is_newest = status.get("observedGeneration", 0) >= generation and status.get(
        "updatedReplicas", 0
    ) == status.get("replicas", 0)
    if not (is_newest and status.get("availableReplicas", 0) >= 1):
        return ""
    since = next(
        (
            condition.get("lastTransitionTime", "")
            for condition in status.get("conditions", ())
            if condition["type"] == "Available"
        ),
        "",
    )
    return f"{deployment['metadata']['uid']}/{generation}/{since}"


def _is_unasked(observed: Observed) -> bool:
    return observed.health is None or observed.health.incarnation != observed.incarnation


def _again_s(observed: Observed) -> float | None:
    leaf = observed.certificate.leaf
    if leaf is None:
        return None
    due_s = leaf.renew_at_s
    if not leaf.is_current:
        due_s = min(due_s, observed.certificate.settled_at_s)
    return max(1.0, due_s - observed.now_s)


def _names(actions: tuple[Action, ...]) -> str:
    return ", ".join(_name(action) for action in actions)


def _name(action: Action) -> str:
    match action:
        case Apply(manifest) | Issue(manifest=manifest):
            return f"{manifest['kind']} {manifest['metadata']['name']}"
        case Delete(kind, name):
            return f"{kind} {name}"
        case RegisterNode(order):
            return f"node {order.node_id}"
        case RegisterLink(order):
            return f"link {order.from_node}-{order.to_node}"
        case AskHealth(node_id):
            return f"health of {node_id}"
