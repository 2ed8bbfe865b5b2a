"""All objects of the platform as manifests: the program's, those its charts render, and the operator's children."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from plmop.__main__ import frame_of
from plmop.mesh_node import manifests
from plmop.mesh_node.spec import KIND, MeshNodeSpec
from plmop.settings import OperatorSettings
from pydantic_settings import BaseSettings
from support import charts
from support.charts import Manifest
from support.program import CHART, Recorder

S = TypeVar("S", bound=BaseSettings)

NAMESPACE = "plm"
_NO_MANIFEST = "kubernetes:helm.sh/"


@dataclass(frozen=True)
class Workload:
    """Whatever makes pods."""

    kind: str
    name: str
    replicas: int
    labels: Mapping[str, str]
    pod_labels: Mapping[str, str]
    pod: Mapping[str, Any]
    pod_annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        """All of them, those that run before the others too."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def stays(self) -> bool:
        """Whether its pods are meant to run until somebody stops them."""
        return self.kind != "Job"

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def everything(recorder: Recorder) -> list[Manifest]:
    """What stands in the cluster once the program has run and the operator has done its work."""
    own = [
        each.inputs
        for each in recorder.resources.values()
        if each.typ.startswith("kubernetes:") and not each.typ.startswith(_NO_MANIFEST)
    ]
    installed = [
        manifest
        for chart in recorder.of_type(CHART)
        for manifest in charts.render(
            chart.name, chart.inputs["values"], namespace=chart.inputs["namespace"]
        )
    ]
    return [*own, *installed, *children([*own, *installed])]


def children(found: Iterable[Manifest]) -> list[Manifest]:
    """What the operator that stands among these objects makes of the MeshNodes among them."""
    objects = list(found)
    [operator] = [each for each in workloads(objects) if each.name == "plm-operator"]
    frame = frame_of(settings_of(OperatorSettings, operator.containers[0]))
    made: list[Manifest] = []
    for each in of_kind(objects, KIND):
        owner = manifests.Owner(each["metadata"]["name"], "uid")
        spec = MeshNodeSpec.model_validate(each["spec"])
        made += map(
            dict,
            (
                manifests.secret(owner),
                manifests.service(owner, frame),
                manifests.deployment(owner, spec, frame),
            ),
        )
    return made


def of_kind(found: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Those of these kinds."""
    return [each for each in found if each["kind"] in kinds]


def title(manifest: Manifest) -> str:
    """How a failing test names an object."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def workloads(found: Iterable[Manifest]) -> list[Workload]:
    """All that make pods."""
    return [
        Workload(
            each["kind"],
            each["metadata"]["name"],
            int(each["spec"].get("replicas", 1)),
            each["metadata"].get("labels", {}),
            each["spec"]["template"]["metadata"].get("labels", {}),
            each["spec"]["template"]["spec"],
            each["spec"]["template"]["metadata"].get("annotations", {}),
        )
        for each in found
        if "template" in each.get("spec", {})
    ]


def environment_of(container: Mapping[str, Any]) -> dict[str, str]:
    """A container's variables; what kubelet fills in gets a stand-in."""
    filled = {
        "metadata.namespace": NAMESPACE,
        "metadata.name": "pod-0",
        "status.podIP": "192.0.2.1",
    }
    return {
        each["name"]: each["value"]
        if "value" in each
        else filled[each["valueFrom"]["fieldRef"]["fieldPath"]]
        for each in container.get("env", [])
    }


def settings_of(kind: type[S], container: Mapping[str, Any]) -> S:
    """What a process reads from its container's variables, and from no others."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PLM_")]:
            patch.delenv(name)
        for name, value in environment_of(container).items():
            patch.setenv(name, value)
        return kind()
