"""Puts new images into running Deployments and waits until their pods serve."""

import json
from collections.abc import Mapping
from typing import Any

from plmkit import children
from plmkit.console import KitError
from plmkit.kubectl import Kubectl, find_kubectl
from plmkit.state import Places

_NODE_IMAGE = "PLM_NODE_IMAGE"
_TIMEOUT_S = 120
_ANSWER_WITHIN_S = 30


def image_name(reference: str) -> str:
    """The name in a reference: `services` of plm.local/services@sha256:… is one."""
    return reference.split("@", maxsplit=1)[0].rsplit("/", 1)[-1]


def patch_of(deployment: Mapping[str, Any], references: Mapping[str, str]) -> dict[str, Any] | None:
    """A strategic patch that brings a Deployment's images, and the operator's image of nodes, up to date."""
    containers = []
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        change: dict[str, Any] = {}
        wanted = references.get(image_name(container["image"]))
        if wanted is not None and wanted != container["image"]:
            change["image"] = wanted
        for variable in container.get("env", ()):
            if variable["name"] == _NODE_IMAGE and variable.get("value") != references["services"]:
                change["env"] = [{"name": _NODE_IMAGE, "value": references["services"]}]
        if change:
            containers.append({"name": container["name"], **change})
    return {"spec": {"template": {"spec": {"containers": containers}}}} if containers else None


def roll(places: Places, references: Mapping[str, str]) -> list[str]:
    """Patch what runs an older image, wait for it, and name it. Mesh nodes are rolled by their operator, and last."""
    kubectl = find_kubectl(places, None)
    patches: dict[str, dict[str, Any]] = {}
    for deployment in kubectl.get("deployments"):
        name = deployment["metadata"]["name"]
        # A mesh node's Deployment is its operator's: it would take our patch back.
        if deployment["metadata"].get("ownerReferences"):
            continue
        patch = patch_of(deployment, references)
        if patch is not None:
            patches[name] = patch
    rounds = in_order(patches)
    for names in rounds:
        for name in names:
            _run(kubectl, "patch", "deployment", name, "--patch", json.dumps(patches[name]))
        for name in names:
            _run(kubectl, "rollout", "status", "deployment", name, f"--timeout={_TIMEOUT_S}s")
    return [name for names in rounds for name in names]


def in_order(patches: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Rounds of names. The operator starts every mesh node anew: services must not share the cores with them all."""
    last = [name for name, patch in patches.items() if _NODE_IMAGE in json.dumps(patch)]
    first = [name for name in patches if name not in last]
    return [names for names in (first, last) if names]


def _run(kubectl: Kubectl, *arguments: str) -> None:
    command = kubectl.command(*arguments)
    done = children.run(command, timeout_s=_TIMEOUT_S + _ANSWER_WITHIN_S, cure="plm status")
    if done.returncode != 0:
        raise KitError(f"kubectl {arguments[0]}: {done.stderr.strip()}", "plm status")
