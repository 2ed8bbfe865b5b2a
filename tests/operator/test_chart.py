"""The operator's chart: what it tells the process, what it grants, and what it refuses to render."""

import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from plmop import crds
from plmop.likeness import QUANTITY_PATTERN, is_covered
from plmop.settings import OperatorSettings
from pydantic import ValidationError
from support import charts
from support.charts import HelmRefusedError, Manifest
from support.objects import settings_of
from support.settings_names import environment_names

CHART = "plm-operator"
REQUIRED = {"image": "plm.local/operator@sha256:1", "nodeImage": "plm.local/services@sha256:2"}
VALUES = {**charts.defaults(CHART), **REQUIRED}
SCHEMA = charts.schema(CHART)


def test_the_chart_sets_only_what_the_operator_reads() -> None:
    text = (charts.CHARTS / CHART / "templates" / "deployment.yaml").read_text()
    named = set(re.findall(r"\bPLM_[A-Z0-9_]+", text))
    assert named
    assert named <= environment_names(OperatorSettings)


def test_the_values_fit_their_schema() -> None:
    jsonschema.validate(VALUES, SCHEMA)
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": ""},
        {"replicas": 9},
        {"imagePullSecrets": "registry"},
        {"imagePullSecrets": ["registry"]},
        {"imagePullSecrets": [{"name": "Registry"}]},
        {"imagePullSecrets": 2 * [{"name": "registry"}]},
        {"unheard": 1},
        {"leafLifetimeSeconds": 899},
        {"resyncSeconds": 151},
        {"logLevel": "loud"},
        {"serviceCertificates": ["Gateway"]},
        {"debugEnabled": "yes"},
        {"nodeResources": {"limits": {"memory": "lots"}}},
        {"nodeResources": {"limits": {"cpu": True}}},
        {"nodeResources": {"limit": {"memory": "64Mi"}}},
        {"resources": {"requests": {"cpu": "-1"}}},
    ],
)
def test_wrong_values_are_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(HelmRefusedError, match=r"values don't meet the specifications"):
        rendered(**wrong)


def rendered(**values: Any) -> list[Manifest]:
    """What helm makes of it."""
    return charts.render(CHART, {**REQUIRED, **values})


def of_kind(kind: str, **values: Any) -> Manifest:
    [found] = [document for document in rendered(**values) if document["kind"] == kind]
    return found


def test_the_role_is_what_cluster_may_do() -> None:
    assert of_kind("Role")["rules"] == crds.rules()


def test_every_object_carries_the_standard_labels() -> None:
    for document in rendered():
        labels = document["metadata"]["labels"]
        for name in ("name", "instance", "version", "component", "part-of", "managed-by"):
            assert labels[f"app.kubernetes.io/{name}"]
        assert document["metadata"]["namespace"] == "plm"


def test_the_pod_is_restricted_and_limited() -> None:
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_it_may_call_what_it_must_and_nothing_else() -> None:
    spec = of_kind("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    ports = sorted(port["port"] for rule in spec["egress"] for port in rule["ports"])
    assert ports == [53, 53, 443, 6443, 7443]
    assert [port["port"] for rule in spec["ingress"] for port in rule["ports"]] == [8080]


def test_a_disruption_budget_comes_with_a_second_replica_only() -> None:
    """For a single one it would block every drain."""
    assert "PodDisruptionBudget" not in {each["kind"] for each in rendered()}
    assert of_kind("PodDisruptionBudget", replicas=2)["spec"]["maxUnavailable"] == 1


def test_lists_arrive_as_the_settings_read_them() -> None:
    """The arrow from chart values to settings crosses a language: both ends are asked."""
    deployment = of_kind(
        "Deployment",
        edgeAddresses=["198.51.100.2"],
        serviceCertificates=["edge"],
        debugEnabled=True,
    )
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    texts = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    assert json.loads(texts["PLM_EDGE_ADDRESSES"]) == ["198.51.100.2"]
    assert json.loads(texts["PLM_SERVICE_CERTIFICATES"]) == ["edge"]
    assert json.loads(texts["PLM_NODE_RESOURCES"])["limits"]["memory"]
    assert texts["PLM_DEBUG_ENABLED"] == "true"
    assert texts["PLM_NODE_IMAGE"] == REQUIRED["nodeImage"]


def test_its_pod_and_the_mesh_nodes_are_told_by_which_secrets_to_pull() -> None:
    names = ["registry", "1e3"]
    secrets = [{"name": name} for name in names]
    pod = of_kind("Deployment", imagePullSecrets=secrets)["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == secrets
    [container] = pod["containers"]
    assert settings_of(OperatorSettings, container).node_image_pull_secrets == tuple(names)


def test_whatever_times_the_chart_takes_the_operator_takes_too() -> None:
    """Which of them go together the settings check; a chart that passed others would end in a crash loop."""
    shortest_s = SCHEMA["properties"]["leafLifetimeSeconds"]["minimum"]
    longest_s = SCHEMA["properties"]["resyncSeconds"]["maximum"]
    OperatorSettings(node_image="x", leaf_lifetime_s=shortest_s, resync_s=longest_s)
    with pytest.raises(ValidationError, match="a third of it must outlast"):
        OperatorSettings(node_image="x", leaf_lifetime_s=shortest_s - 1, resync_s=longest_s)


def test_a_size_may_be_written_as_a_number() -> None:
    """YAML makes one of `cpu: 1`, Kubernetes takes it, and so does the operator."""
    sizes = {"requests": {"cpu": 1, "memory": 134217728}, "limits": {"cpu": 1.5}}
    deployment = of_kind("Deployment", nodeResources=sizes, resources=sizes)
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    read = settings_of(OperatorSettings, container).node_resources
    assert is_covered({"resources": sizes}, {"resources": read})
    assert is_covered({"resources": sizes}, container)


@pytest.mark.parametrize("chart", ["plm-operator", "plm-services"])
def test_a_quantity_is_the_same_in_chart_and_operator(chart: str) -> None:
    schema = charts.schema(chart)
    quantities = {**schema.get("definitions", {}), **schema.get("$defs", {})}["quantities"]
    [text, _] = quantities["additionalProperties"]["oneOf"]
    assert text["pattern"] == QUANTITY_PATTERN
