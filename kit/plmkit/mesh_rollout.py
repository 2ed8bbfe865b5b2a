"""Whether the mesh nodes run what the operator has been told: Pulumi waits for it, and not for what it rolls."""

import json
import time
from collections.abc import Mapping, Sequence

from plmkit.console import KitError
from plmkit.health import Object
from plmkit.kubectl import Kubectl
from plmkit.rolling import NODE_IMAGE

_KIND = "MeshNode"
_DEBUG = "PLM_DEBUG_ENABLED"
_PULL_SECRETS = "PLM_NODE_IMAGE_PULL_SECRETS"
_LOOK_EVERY_S = 0.5


def behind(objects: Sequence[Object]) -> list[str]:
    """Mesh nodes whose pod is not yet the one that the operator wants, by name; none where no operator is."""
    deployments = [each for each in objects if each.get("kind") != _KIND]
    told = next((found for each in deployments if NODE_IMAGE in (found := _environment(each))), {})
    return [
        _node(each)
        for each in deployments
        if told and _is_node(each) and not (_is_as_told(each, told) and _has_rolled(each))
    ]


def wait(kubectl: Kubectl, within_s: float) -> list[str]:
    """Until all mesh nodes run what they should. Returns those that do not by then, and those that are paused."""
    give_up_at = time.monotonic() + within_s
    while True:
        try:
            objects = kubectl.get("deployments,meshnodes.plm.dev")
        except KitError:
            # Nodes that all start at once keep the API server busy: the next look tells.
            if time.monotonic() >= give_up_at:
                raise
        else:
            left = behind(objects)
            # A paused one stays as it is until somebody lets it go on.
            if not set(left) - _paused(objects) or time.monotonic() >= give_up_at:
                return left
        time.sleep(_LOOK_EVERY_S)


def _paused(objects: Sequence[Object]) -> set[str]:
    nodes = (each for each in objects if each.get("kind") == _KIND)
    return {str(each["metadata"]["name"]) for each in nodes if each["spec"].get("paused")}


def _is_node(deployment: Object) -> bool:
    owners = deployment["metadata"].get("ownerReferences", ())
    return any(owner["kind"] == _KIND for owner in owners)


def _node(deployment: Object) -> str:
    owners = deployment["metadata"]["ownerReferences"]
    return next(str(owner["name"]) for owner in owners if owner["kind"] == _KIND)


def _container(deployment: Object) -> Object:
    first: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return first


def _environment(deployment: Object) -> Mapping[str, str]:
    variables = _container(deployment).get("env", ())
    return {each["name"]: each["value"] for each in variables if "value" in each}


def _is_as_told(deployment: Object, told: Mapping[str, str]) -> bool:
    pod = deployment["spec"]["template"]["spec"]
    # Beside these there may be others' own.
    secrets = {each["name"] for each in pod.get("imagePullSecrets", ())}
    return (
        _container(deployment)["image"] == told[NODE_IMAGE]
        and _environment(deployment).get(_DEBUG) == told.get(_DEBUG)
        and secrets >= set(json.loads(told.get(_PULL_SECRETS, "[]")))
    )


def _has_rolled(deployment: Object) -> bool:
    status, replicas = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return bool(seen and counts == {replicas})
