"""Whose an object is: the operator's to change, or somebody else's, which it leaves as it is."""

from plmop.actions import FIELD_MANAGER, GROUP, Manifest

CA_SECRET = "plm-ca"  # noqa: S105 - the name of a Secret

_MANAGER_LABEL = "app.kubernetes.io/managed-by"


def is_marked(found: Manifest) -> bool:
    """Whether the operator made it: either mark is enough, the other may have been taken away by hand."""
    annotations: Manifest = found["metadata"].get("annotations") or {}
    is_annotated = any(key.startswith(f"{GROUP}/") for key in annotations)
    return is_annotated or label_of(found, _MANAGER_LABEL) == FIELD_MANAGER


def label_of(found: Manifest, name: str) -> str:
    """A label's value; empty when it has none."""
    return str((found["metadata"].get("labels") or {}).get(name, ""))


def controller_of(found: Manifest) -> Manifest | None:
    """The owner that answers for it; None when nobody does."""
    references: list[Manifest] = found["metadata"].get("ownerReferences") or []
    return next((each for each in references if each.get("controller")), None)


def hangs_on_operator(found: Manifest) -> bool:
    """Whether the operator's own Deployment owns it, as older versions had it of Secrets that must outlive it."""
    references: list[Manifest] = found["metadata"].get("ownerReferences") or []
    return any(
        (each.get("kind"), each.get("name")) == ("Deployment", FIELD_MANAGER) for each in references
    )


def group_of(reference: Manifest) -> str:
    """The API group of an owner, whatever the version."""
    return str(reference.get("apiVersion", "")).partition("/")[0]


def is_ours_to_read(secret: Manifest) -> bool:
    """Whether the operator needs what is in a Secret: the CA, what it made, and what its custom resources own."""
    controller = controller_of(secret)
    return (
        secret["metadata"]["name"] == CA_SECRET
        or is_marked(secret)
        or (controller is not None and group_of(controller) == GROUP)
    )
