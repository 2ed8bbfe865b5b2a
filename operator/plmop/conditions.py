"""Conditions, phases and reasons of our custom resources, and the patch that brings a status up to date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Status = Mapping[str, Any]


class Phase(StrEnum):
    """Where a MeshNode stands. Adding one? Add it to docs/mesh-nodes.md; the CRD lists them by itself."""

    PENDING = "Pending"  # children are being made
    STARTING = "Starting"  # the pod is not available yet
    REGISTERING = "Registering"  # the ledger does not know the node or one of its links yet
    READY = "Ready"
    DEGRADED = "Degraded"  # it may serve, but not as declared
    PAUSED = "Paused"
    INVALID = "Invalid"


class Reason(StrEnum):
    """Why a condition is what it is. Adding one? Add it to docs/mesh-nodes.md; the CRD lists them by itself."""

    READY = "Ready"  # everything declared is so
    CREATING = "Creating"  # children are missing or differ
    WAITING_FOR_CERTIFICATE = "WaitingForCertificate"  # no CA yet: Secret plm-ca
    WAITING_FOR_POD = "WaitingForPod"  # the Deployment has no available pod of the newest template
    WAITING_FOR_LEDGER = "WaitingForLedger"  # the ledger does not answer
    WAITING_FOR_PEER = "WaitingForPeer"  # a link's other end is not registered
    WAITING_FOR_HEALTH = "WaitingForHealth"  # the pod is available, its gRPC health not SERVING
    REGISTERING = "Registering"  # node or links are being registered
    INSUFFICIENT_FUNDS = (
        "InsufficientFunds"  # a smaller volume was declared than the link can give back
    )
    REGISTRATION_REFUSED = (
        "RegistrationRefused"  # the ledger refuses node or link; the message says why
    )
    NAME_TAKEN = "NameTaken"  # an object of somebody else bears the name of a child
    INVALID_SPEC = "InvalidSpec"  # the spec got past the schema but makes no sense
    PAUSED = "Paused"  # spec.paused: nobody acts on this object
    RECONCILE_FAILED = "ReconcileFailed"  # an unexpected error; it is tried again


@dataclass(frozen=True)
class Verdict:
    """What is to be said of an object: the source of all its conditions."""

    phase: Phase
    reason: Reason
    message: str
    is_stalled: bool = False  # nothing will happen until somebody acts

    @property
    def is_ready(self) -> bool:
        """Whether everything declared is so."""
        return self.phase is Phase.READY


# Present from birth, in this order.
CONDITION_TYPES = ("Ready", "Progressing", "Degraded", "Reconciling", "Stalled")


def conditions_of(
    verdict: Verdict, *, generation: int, now: str, before: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """All conditions of a verdict. A time moves only when its condition's status does."""
    known = {condition["type"]: condition for condition in before}
    conditions = []
    for kind, truth in _truths(verdict).items():
        last = known.get(kind)
        is_same = last is not None and last["status"] == truth
        conditions.append(
            {
                "type": kind,
                "status": truth,
                "reason": str(verdict.reason),
                "message": verdict.message,
                "observedGeneration": generation,
                "lastTransitionTime": last["lastTransitionTime"] if last and is_same else now,
            }
        )
    return conditions


def _truths(verdict: Verdict) -> dict[str, str]:
    is_paused = verdict.phase is Phase.PAUSED
    is_degraded = verdict.phase in {Phase.DEGRADED, Phase.INVALID}
    is_progressing = not (verdict.is_ready or is_paused or verdict.is_stalled)
    return {
        # Nobody looks after a paused object, so nobody can say.
        "Ready": "Unknown" if is_paused else _text(verdict.is_ready),
        "Progressing": _text(is_progressing),
        "Degraded": _text(is_degraded),
        "Reconciling": _text(is_progressing),
        "Stalled": _text(verdict.is_stalled),
    }


def _text(truth: bool) -> str:
    return "True" if truth else "False"


def status_patch(old: Status, new: Status) -> dict[str, Any]:
    """What to write so that a status reads `new`; empty when it does already, so that no tick writes to etcd."""
    return {} if dict(old) == dict(new) else dict(new)


def ready_of(status: Status) -> tuple[str, str]:
    """Status and reason of the Ready condition, empty when there is none yet."""
    for condition in status.get("conditions", ()):
        if condition["type"] == "Ready":
            return str(condition["status"]), str(condition["reason"])
    return "", ""
