"""What a MeshNode's status says: the verdict over what was observed, and the figures beside it. Pure."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from plm.domain.errors import Code
from plm.domain.money import format_amount

from plmop.conditions import Phase, Reason, Status, Verdict, conditions_of
from plmop.mesh_node import manifests
from plmop.mesh_node.plan import (
    Observed,
    is_node_registered,
    missing_links,
    standing_refusals,
    taken_names,
)
from plmop.mesh_node.spec import InvalidSpec, MeshNodeSpec

_REFUSALS = {Code.INSUFFICIENT_FUNDS: Reason.INSUFFICIENT_FUNDS}


def judge(spec: MeshNodeSpec | InvalidSpec, observed: Observed, failure: str = "") -> Verdict:
    """The first thing that is not as declared, or that all is. `failure`: what went wrong while acting."""
    if isinstance(spec, InvalidSpec):
        message = f"{spec.problem}; correct the spec"
        return Verdict(Phase.INVALID, Reason.INVALID_SPEC, message, is_stalled=True)
    if spec.paused:
        return Verdict(Phase.PAUSED, Reason.PAUSED, _paused_message(observed))
    taken = taken_names(observed)
    if taken:
        message = f"not this node's own: {', '.join(taken)}; delete what is in the way, or name the node otherwise"
        return Verdict(Phase.DEGRADED, Reason.NAME_TAKEN, message, is_stalled=True)
    if failure:
        phase = Phase.DEGRADED if observed.incarnation else Phase.PENDING
        return Verdict(phase, Reason.RECONCILE_FAILED, f"{failure}; it is tried again")
    for found in _obstacles(spec, observed):
        return found
    return Verdict(Phase.READY, Reason.READY, "the node is registered and serves")


def _paused_message(observed: Observed) -> str:
    leaf = observed.certificate.leaf
    until = f"; its certificate ends at {_time(leaf.end_s)} and is not renewed" if leaf else ""
    return f"nothing is done while spec.paused is true{until}"


def _obstacles(spec: MeshNodeSpec, observed: Observed) -> Iterator[Verdict]:
    yield from _missing_children(observed)
    yield from _refusals(spec, observed)
    if not observed.incarnation:
        yield Verdict(Phase.STARTING, Reason.WAITING_FOR_POD, _why_no_pod(observed))
    yield from _missing_registrations(spec, observed)
    health = observed.health
    if health is None or health.incarnation != observed.incarnation or not health.is_serving:
        problem = health.problem if health is not None else "not asked yet"
        message = f"the pod is available, but the node does not serve: {problem}"
        yield Verdict(Phase.STARTING, Reason.WAITING_FOR_HEALTH, message)


def _why_no_pod(observed: Observed) -> str:
    """Kubernetes' own words where it has some: a quota, a policy, an image that cannot be pulled in time."""
    found = f"Deployment {observed.owner.child} has no available pod of its newest template"
    status = (observed.deployment or {}).get("status", {})
    for condition in status.get("conditions", ()):
        kind, truth = condition["type"], condition["status"]
        if (kind, truth) in {("ReplicaFailure", "True"), ("Progressing", "False")}:
            return f"{found}: {condition.get('message', '')}"
    return found


def _missing_children(observed: Observed) -> Iterator[Verdict]:
    leaf = observed.certificate.leaf
    if leaf is None or not leaf.is_trusted or leaf.end_s <= observed.now_s:
        problem = observed.certificate.problem or f"Secret {observed.owner.secret} is not made yet"
        message = f"no valid certificate: {problem}"
        yield Verdict(Phase.PENDING, Reason.WAITING_FOR_CERTIFICATE, message)
    if observed.deployment is None or observed.service is None:
        yield Verdict(Phase.PENDING, Reason.CREATING, "Deployment or Service is not made yet")


def _refusals(spec: MeshNodeSpec, observed: Observed) -> Iterator[Verdict]:
    for refusal in standing_refusals(spec, observed):
        reason = _REFUSALS.get(refusal.code, Reason.REGISTRATION_REFUSED)
        message = f"the ledger refuses: {refusal.detail}; correct the spec, it is asked again at every resync"
        yield Verdict(Phase.DEGRADED, reason, message)


def _missing_registrations(spec: MeshNodeSpec, observed: Observed) -> Iterator[Verdict]:
    ledger = observed.ledger
    is_known = is_node_registered(manifests.node_order(observed.owner, spec), ledger.node)
    missing = missing_links(spec, observed)
    if is_known and not missing:
        return
    if not ledger.answers:
        message = f"the ledger does not answer: {ledger.problem}"
        yield Verdict(Phase.REGISTERING, Reason.WAITING_FOR_LEDGER, message)
    absent = sorted(order.to_node for order in missing if order.to_node not in ledger.peers)
    if is_known and absent:
        message = f"links wait until their other end is registered: {', '.join(absent)}"
        yield Verdict(Phase.REGISTERING, Reason.WAITING_FOR_PEER, message)
    yield Verdict(Phase.REGISTERING, Reason.REGISTERING, "node or links are being registered")


def status_of(
    spec: MeshNodeSpec | InvalidSpec,
    observed: Observed,
    verdict: Verdict,
    before: Status,
) -> dict[str, Any]:
    """The whole status. Equal input gives an equal status, times included."""
    generation = observed.owner.generation
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "phase": str(verdict.phase),
        "conditions": conditions_of(
            verdict,
            generation=generation,
            now=_time(observed.now_s),
            before=before.get("conditions", ()),
        ),
    }
    if isinstance(spec, MeshNodeSpec):
        registered = len(spec.links) - len(missing_links(spec, observed))
        status["peers"] = f"{registered}/{len(spec.links)}"
        status["liquidity"] = _liquidity(spec, observed)
    if observed.certificate.leaf is not None:
        status["certificateExpiresAt"] = _time(observed.certificate.leaf.end_s)
    return status


def _liquidity(spec: MeshNodeSpec, observed: Observed) -> str:
    node = observed.ledger.node
    links = node.links if node is not None else ()
    total = sum(link.liquidity_volume for link in links if link.enabled)
    return f"{format_amount(total, spec.currency)} {spec.currency}"


def _time(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
