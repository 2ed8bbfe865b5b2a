"""Puts new images into running Deployments and waits until their pods serve."""

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from plmkit import groups
from plmkit.console import KitError
from plmkit.health import Object, app_of
from plmkit.kubectl import Kubectl

NODE_IMAGE = "PLM_NODE_IMAGE"
_MIGRATE = "migrate"
_TIMEOUT_S = 120
_ANSWER_WITHIN_S = 30


def image_name(reference: str) -> str:
    """The name in a reference: `services` of plm.local/services@sha256:… is one."""
    return reference.split("@", maxsplit=1)[0].rsplit("/", 1)[-1]


def patch_of(deployment: Object, references: Mapping[str, str]) -> dict[str, Any] | None:
    """A strategic patch that brings a Deployment's images, and the operator's image of nodes, up to date."""
    containers = []
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        change: dict[str, Any] = {}
        wanted = references.get(image_name(container["image"]))
        if wanted is not None and wanted != container["image"]:
            change["image"] = wanted
        for variable in container.get("env", ()):
            if variable["name"] == NODE_IMAGE and variable.get("value") != references["services"]:
                change["env"] = [{"name": NODE_IMAGE, "value": references["services"]}]
        if change:
            containers.append({"name": container["name"], **change})
    return {"spec": {"template": {"spec": {"containers": containers}}}} if containers else None


def look(kubectl: Kubectl) -> Sequence[Object]:
    """All that runs our images, or has run them."""
    return kubectl.get("deployments,statefulsets,jobs")


def beyond_patches(
    objects: Sequence[Object], references: Mapping[str, str], carried: Mapping[str, str]
) -> str:
    """Why `roll` would not do: what has changed that only Pulumi brings into the cluster. Empty where it would.

    `carried`: the migrations' key of each image of services that is known, by its digest.
    """
    for item in objects:
        # A Deployment of one container takes a patch; a database is rolled with care.
        if item["kind"] == "StatefulSet" and patch_of(item, references) is not None:
            return f"{item['metadata']['name']} has a new image"
    jobs = [item for item in objects if item["kind"] == "Job" and app_of(item) == _MIGRATE]
    newest = max(jobs, key=lambda job: str(job["metadata"].get("creationTimestamp")), default=None)
    if newest is None:
        return "no migration has run"
    image = newest["spec"]["template"]["spec"]["containers"][0]["image"]
    ran, wanted = (reference.partition("@")[2] for reference in (image, references["services"]))
    if ran == wanted or (ran in carried and carried[ran] == carried.get(wanted)):
        return ""
    return "migrations have changed"


def outdated(objects: Sequence[Object], references: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What runs an older image, with the patch that mends it. Mesh nodes are their operator's to roll."""
    found = {}
    for item in objects:
        if item["kind"] != "Job" and not item["metadata"].get("ownerReferences"):
            patch = patch_of(item, references)
            if patch is not None:
                found[str(item["metadata"]["name"])] = patch
    return found


def roll(kubectl: Kubectl, patches: Mapping[str, Mapping[str, Any]]) -> None:
    """Patch these Deployments and wait until their new pods serve. Whoever starts all mesh nodes anew comes last."""
    for names in in_order(patches):
        _all(
            kubectl,
            [("patch", "deployment", name, "--patch", json.dumps(patches[name])) for name in names],
        )
        _all(
            kubectl,
            [
                ("rollout", "status", "deployment", name, f"--timeout={_TIMEOUT_S}s")
                for name in names
            ],
        )


def in_order(patches: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Rounds of names. The operator starts every mesh node anew: services must not share the cores with them all."""
    last = [name for name, patch in patches.items() if NODE_IMAGE in json.dumps(patch)]
    first = [name for name in patches if name not in last]
    return [names for names in (first, last) if names]


def _all(kubectl: Kubectl, commands: Sequence[Sequence[str]]) -> None:
    """All at once: each takes a while to begin."""
    stop = threading.Event()

    def run(words: Sequence[str]) -> None:
        command = kubectl.command(*words)
        timeout_s = _TIMEOUT_S + _ANSWER_WITHIN_S
        done = groups.run(command, timeout_s=timeout_s, cure="plm status", stop=stop)
        if done.returncode != 0:
            raise KitError(f"kubectl {words[0]}: {done.stderr.strip()}", "plm status")

    with ThreadPoolExecutor(len(commands)) as pool:
        try:
            list(pool.map(run, commands))
        except BaseException:
            # Else leaving the pool waits for the others.
            stop.set()
            raise
