"""Every manifest that is applied anywhere fits the schemas of the pinned Kubernetes, to the letter."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from plmkit.localcluster import rendering
from plmkit.localcluster.layout import Layout
from support.charts import CHARTS, Manifest, definitions, read_documents, render
from support.openapi import Schemas
from support.postgres import ROOT

SERVICES = {"image": "plm.local/services@sha256:1"}
OPERATOR = {"image": "plm.local/operator@sha256:2", "nodeImage": SERVICES["image"]}
PROMETHEUS = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}
[MESH] = read_documents((CHARTS / "plm-services" / "values-mesh50.yaml").read_text())
OWN = ROOT / "kit" / "plmkit" / "localcluster" / "manifests"
EXAMPLES = ROOT / "examples"

# Together they take every branch of the templates.
RELEASES = [
    pytest.param("plm-operator", OPERATOR, id="operator"),
    pytest.param("plm-operator", {**OPERATOR, "debugEnabled": True}, id="operator-debug"),
    pytest.param(
        "plm-operator",
        {**OPERATOR, "replicas": 2, "priorityClassName": "high"},
        id="operator-replicated",
    ),
    pytest.param(
        "plm-operator",
        {
            **OPERATOR,
            "networkPolicy": {"apiServerCidr": "192.0.2.7/32", "metricsFrom": [PROMETHEUS]},
        },
        id="operator-fenced",
    ),
    pytest.param(
        "plm-operator", {**OPERATOR, "networkPolicy": {"enabled": False}}, id="operator-open"
    ),
    pytest.param("plm-services", SERVICES, id="services"),
    pytest.param("plm-services", {**SERVICES, "debugEnabled": True}, id="services-debug"),
    pytest.param(
        "plm-services",
        {**SERVICES, "gateway": {"replicas": 2}, "priorityClassName": "high"},
        id="services-replicated",
    ),
    pytest.param(
        "plm-services",
        {**SERVICES, "networkPolicy": {"metricsFrom": [PROMETHEUS]}},
        id="services-fenced",
    ),
    pytest.param("plm-services", {**SERVICES, **MESH}, id="services-mesh50"),
]


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas(definitions())


def problems_of(schemas: Schemas, found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of all these objects, which must be some."""
    checked = list(found)
    assert checked
    return [problem for each in checked for problem in schemas.problems(each)]


@pytest.mark.parametrize(("chart", "values"), RELEASES)
def test_what_helm_renders_fits(schemas: Schemas, chart: str, values: Mapping[str, Any]) -> None:
    assert problems_of(schemas, render(chart, values)) == []


def test_the_definitions_fit(schemas: Schemas) -> None:
    """Helm applies them without looking into them."""
    assert problems_of(schemas, definitions()) == []


def test_what_the_program_its_charts_and_the_operator_make_fits(
    schemas: Schemas, everything: list[Manifest]
) -> None:
    kinds = {each["kind"] for each in everything}
    assert {"Namespace", "StatefulSet", "NetworkPolicy", "Secret", "MeshNode"} <= kinds
    assert problems_of(schemas, everything) == []


def test_the_embedded_cluster_s_own_manifests_fit(schemas: Schemas, tmp_path: Path) -> None:
    images = rendering.OwnImages("plm.local/pause:1", "plm.local/coredns:1")
    assert problems_of(schemas, rendering.manifests(Layout(tmp_path), images)) == []


def test_the_examples_fit(schemas: Schemas) -> None:
    found = [each for file in EXAMPLES.iterdir() for each in read_documents(file.read_text())]
    assert problems_of(schemas, found) == []


@pytest.mark.parametrize("folder", [OWN, EXAMPLES], ids=lambda folder: str(folder.name))
def test_no_file_says_a_thing_twice(folder: Path) -> None:
    assert [read_documents(file.read_text()) for file in folder.glob("*.yaml")]
