"""Whose an object is: the operator's to change, or somebody else's, which it leaves as it is."""

from plmop.actions import FIELD_MANAGER, GROUP, Manifest

_MANAGER_LABEL = "app.kubernetes.io/managed-by"


def is_marked(found: Manifest) -> bool:
    """Whether it carries the label of all that the operator makes."""
    return label_of(found, _MANAGER_LABEL) == FIELD_MANAGER


def label_of(found: Manifest, name: str) -> str:
    """A label's value; empty when it has none."""
    return str((found["metadata"].get("labels") or {}).get(name, ""))


def controller_of(found: Manifest) -> Manifest | None:
    """The owner that answers for it; None when nobody does."""
    references: list[Manifest] = found["metadata"].get("ownerReferences") or []
    return next((each for each in references if each.get("controller")), None)


def is_of_kind(reference: Manifest, kind: str) -> bool:
    """Whether an owner is of one of our own kinds, in whatever version."""
    group = str(reference.get("apiVersion", "")).partition("/")[0]
    return (group, reference.get("kind")) == (GROUP, kind)
