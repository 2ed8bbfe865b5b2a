"""The decision: from what a MeshNode is to be and what is there, the next actions. No clock, no I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plm.domain.mesh import Node
from plm.domain.orders import LinkOrder, NodeOrder

from plmop import certificates, ownership
from plmop.actions import (
    GROUP,
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
from plmop.mesh_node.manifests import NODE_LABEL, Frame, Owner
from plmop.mesh_node.spec import KIND, InvalidSpec, MeshNodeSpec


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
    forbidden = _why_nothing_may_be_done(spec, observed)
    if forbidden:
        return Plan((), forbidden)
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


def _why_nothing_may_be_done(spec: MeshNodeSpec, observed: Observed) -> str:
    if spec.paused:
        return "paused: nothing is done while spec.paused is true"
    taken = taken_names(observed)
    return f"not this node's own: {', '.join(taken)}" if taken else ""


def taken_names(observed: Observed) -> list[str]:
    """Objects that bear the names of this node's children and are not its own: whatever they are, they stay so."""
    owner = observed.owner
    present = {
        f"Deployment {owner.child}": observed.deployment,
        f"Service {owner.child}": observed.service,
        f"Secret {owner.secret}": observed.secret,
    }
    return [
        name for name, found in present.items() if found is not None and not _is_ours(owner, found)
    ]


def _is_ours(owner: Owner, found: Manifest) -> bool:
    if found["kind"] == "Secret" and found.get("type") != manifests.secret(owner)["type"]:
        return False  # a Secret's type cannot be changed: whoever chose another made it
    controller = ownership.controller_of(found)
    if controller is None:
        # Somebody took its owner away; the labels still say whose it was.
        return ownership.is_marked(found) and ownership.label_of(found, NODE_LABEL) == owner.name
    # A node that was deleted and made again has a new uid, and finds what the garbage collector has not got to yet.
    named = (ownership.group_of(controller), controller.get("kind"), controller.get("name"))
    return named == (GROUP, KIND, owner.name) or controller.get("uid") == owner.uid


def _children(spec: MeshNodeSpec, observed: Observed, frame: Frame) -> Iterator[Action]:
    owner = observed.owner
    yield from _certificate(observed, frame)
    if observed.certificate.bundle or observed.secret is not None:
        yield from _deployment(manifests.deployment(owner, spec, frame), observed.deployment)
    yield from _child(manifests.service(owner, frame), observed.service)


def _certificate(observed: Observed, frame: Frame) -> Iterator[Action]:
    facts, present = observed.certificate, observed.secret
    if not facts.bundle:
        return
    wanted = Issue(manifests.secret(observed.owner), manifests.names(observed.owner, frame), "")
    issue = certificates.due(
        facts.leaf, wanted, facts.bundle, now_s=observed.now_s, settled_at_s=facts.settled_at_s
    ) or certificates.restored(wanted, present)
    if issue is not None:
        yield issue


def _deployment(desired: Manifest, present: Manifest | None) -> Iterator[Action]:
    if present is not None and desired["spec"]["selector"] != present["spec"]["selector"]:
        # A Deployment's selector cannot be changed.
        yield Delete("Deployment", desired["metadata"]["name"], present["metadata"]["uid"])
    else:
        yield from _child(desired, present)


def _child(desired: Manifest, present: Manifest | None) -> Iterator[Action]:
    if present is None or not is_covered(desired, present):
        yield Apply(desired)


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
    due_at_s = certificates.due_at_s(leaf, observed.certificate.settled_at_s)
    return max(1.0, due_at_s - observed.now_s)


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
