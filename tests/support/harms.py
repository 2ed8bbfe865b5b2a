"""What people, crashes and time do to the children of a MeshNode: each harm changes one thing that was right."""

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from plmop import certificates
from plmop.actions import Names
from plmop.certificates import Authority
from plmop.mesh_node import manifests
from plmop.mesh_node.manifests import Owner
from support.leaves import new_authority
from support.stage import ca_secret
from support.troupe import FRAME, LIFETIME_S

Manifest = dict[str, Any]

NOW = dt.datetime.now(dt.UTC)
OWNER = Owner("a", "uid-a", 3)
CURRENT = certificates.read_authority(ca_secret(new_authority()))
STRANGER = certificates.read_authority(ca_secret(new_authority()))
NAMES = manifests.names(OWNER, FRAME)
# On objects of somebody else, for the test alone: nothing may write to what carries it.
STRANGE = "somebody.else/owns"
_OTHER_NAMES = Names("spiffe://plm.local/node/z", ("node-z",))


def issue(authority: Authority, names: Names, *, age_s: float = 0) -> dict[str, str]:
    """Data of a certificate Secret, made a while ago."""
    made = NOW - dt.timedelta(seconds=age_s)
    return certificates.issue(authority, names, now=made, lifetime_s=LIFETIME_S)


Harm = Callable[[Manifest], None]


def _scale(found: Manifest) -> None:
    found["spec"]["replicas"] = 3


def _other_image(found: Manifest) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["image"] = "elsewhere/image:1"


def _lose_environment(found: Manifest) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["env"].pop()


def _other_selector(found: Manifest) -> None:
    found["spec"]["selector"] = {"matchLabels": {"some": "other"}}


def _lose_owner(found: Manifest) -> None:
    found["metadata"]["ownerReferences"] = []


def _former_owner(found: Manifest) -> None:
    found["metadata"]["ownerReferences"][0]["uid"] = "uid-of-a-deleted-object"


def _lose_labels(found: Manifest) -> None:
    found["metadata"].pop("labels")


def _gain_annotation(found: Manifest) -> None:
    found["metadata"]["annotations"] = {"somebody": "was here"}


def _other_port(found: Manifest) -> None:
    found["spec"]["ports"][0]["targetPort"] = 9999


def _spoil(found: Manifest) -> None:
    found["data"]["tls.crt"] = "bm90IGEgY2VydGlmaWNhdGU="


def _lose_key(found: Manifest) -> None:
    found["data"].pop("tls.key")


def _swap_key(found: Manifest) -> None:
    found["data"]["tls.key"] = issue(CURRENT, NAMES)["tls.key"]


def _expire(found: Manifest) -> None:
    found["data"] = issue(CURRENT, NAMES, age_s=LIFETIME_S + 1)


def _age(found: Manifest) -> None:
    found["data"] = issue(CURRENT, NAMES, age_s=LIFETIME_S * 0.7)


def _stranger(found: Manifest) -> None:
    found["data"] = issue(STRANGER, NAMES)


def _rename(found: Manifest) -> None:
    found["data"] = issue(CURRENT, _OTHER_NAMES)


def _distrust(found: Manifest) -> None:
    found["data"]["ca.crt"] = certificates.encode({"": STRANGER.bundle})[""]


ANY_CHILD: tuple[Harm, ...] = (_lose_owner, _former_owner, _lose_labels, _gain_annotation)
DEPLOYMENT: tuple[Harm, ...] = (_scale, _other_image, _lose_environment, _other_selector)
SERVICE: tuple[Harm, ...] = (_other_port,)
SECRET: tuple[Harm, ...] = (
    _spoil, _lose_key, _swap_key, _expire, _age, _stranger, _rename, _distrust,
)  # fmt: skip


def _nobody_s(found: Manifest) -> None:
    _lose_owner(found)
    _lose_labels(found)


def _another_controller_s(found: Manifest) -> None:
    [owner] = found["metadata"]["ownerReferences"]
    owner |= {"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "uid-of-a-stranger"}


def _another_node_s(found: Manifest) -> None:
    found["metadata"]["ownerReferences"][0] |= {"name": "b", "uid": "uid-b"}


def _of_another_group(found: Manifest) -> None:
    found["metadata"]["ownerReferences"][0] |= {"apiVersion": "elsewhere/v1", "uid": "uid-b"}


def _marked_for_another_node(found: Manifest) -> None:
    _lose_owner(found)
    found["metadata"]["labels"][manifests.NODE_LABEL] = "b"


def _installed_by_helm(found: Manifest) -> None:
    _lose_owner(found)
    found["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"


def _of_another_type(found: Manifest) -> None:
    found["type"] = "Opaque"


# Each makes a child somebody else's, whatever else is right with it.
_STRANGERS: tuple[Harm, ...] = (
    _nobody_s, _another_controller_s, _another_node_s, _of_another_group, _marked_for_another_node,
    _installed_by_helm,
)  # fmt: skip


def stranger(desired: Manifest, harms: tuple[Harm, ...]) -> st.SearchStrategy[Manifest]:
    """An object of somebody else under a child's name, otherwise in any state."""
    ways = (*_STRANGERS, _of_another_type) if desired["kind"] == "Secret" else _STRANGERS

    def made(chosen: Harm, found: Manifest) -> Manifest:
        chosen(found)
        found["metadata"]["annotations"] = {STRANGE: "yes"}
        return found

    present = _harmed(desired, harms).filter(_has_identity)
    return st.builds(made, st.sampled_from(ways), present)


def _has_identity(found: Manifest) -> bool:
    return bool(found["metadata"].get("ownerReferences")) and "labels" in found["metadata"]


def child(desired: Manifest, harms: tuple[Harm, ...]) -> st.SearchStrategy[Manifest | None]:
    """Any state of a child: absent, right, or harmed in up to three ways. It can still be told whose it is."""
    return st.none() | _harmed(desired, harms).filter(
        lambda found: bool(
            found["metadata"].get("ownerReferences") or found["metadata"].get("labels")
        )
    )


def _harmed(desired: Manifest, harms: tuple[Harm, ...]) -> st.SearchStrategy[Manifest]:
    def harmed(chosen: list[Harm]) -> Manifest:
        made = copy.deepcopy(desired)
        made["metadata"]["uid"] = f"uid-of-{made['kind']}"
        made["metadata"]["generation"] = 9
        for harm in chosen:
            try:
                harm(made)
            except (KeyError, IndexError):
                continue  # an earlier one took away what this one would change
        return made

    return st.lists(st.sampled_from(harms), max_size=3, unique=True).map(harmed)
