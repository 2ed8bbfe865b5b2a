"""The judge of manifests is itself judged: what is misspelt, mistyped or missing is found, once, and named."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from support.charts import definitions, read_documents
from support.openapi import Schemas

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "gateway", "namespace": "plm"},
    "spec": {
        "selector": {"matchLabels": {"app": "gateway"}},
        "template": {
            "metadata": {"labels": {"app": "gateway"}},
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "image": "plm.local/services",
                        "ports": [{"containerPort": 8443}],
                        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
                        "livenessProbe": {"httpGet": {"path": "/livez", "port": 8080}},
                        "resources": {"limits": {"memory": "256Mi", "cpu": 2}},
                    }
                ]
            },
        },
    },
}
NODE: dict[str, Any] = {
    "apiVersion": "plm.dev/v1alpha1",
    "kind": "MeshNode",
    "metadata": {"name": "a"},
    "spec": {"currency": "USD", "links": [{"to": "b", "liquidityVolume": "1.00"}]},
}


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas(definitions())


def changed(manifest: Mapping[str, Any], path: str, **fields: Any) -> dict[str, Any]:
    """A copy with these fields at a place; None takes a field away."""
    copied = copy.deepcopy(dict(manifest))
    place: Any = copied
    for step in path.split():
        place = place[int(step)] if step.isdigit() else place[step]
    for name, value in fields.items():
        place.pop(name, None)
        if value is not None:
            place[name] = value
    return copied


POD = "spec template spec"
CONTAINER = f"{POD} containers 0"


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        (CONTAINER, {"imagePullPolicie": "Never"}, "'imagePullPolicie' was unexpected"),
        (POD, {"container": []}, "'container' was unexpected"),
        ("", {"status": {"replica": 1}}, "'replica' was unexpected"),
        ("metadata", {"label": {}}, "'label' was unexpected"),
        ("spec", {"replicas": "2"}, "spec.replicas: '2' is not of type 'integer'"),
        ("spec", {"replicas": 2**31}, "spec.replicas: 2147483648 is not a 'int32'"),
        ("spec", {"paused": "yes"}, "'yes' is not of type 'boolean'"),
        ("metadata", {"labels": {"port": 8080}}, "8080 is not of type 'string'"),
        (CONTAINER, {"args": ["-v", 3]}, "args[1]: 3 is not of type 'string'"),
        (f"{CONTAINER} ports 0", {"containerPort": "http"}, "'http' is not of type 'integer'"),
        (f"{CONTAINER} livenessProbe httpGet", {"port": True}, "True is not valid"),
        (f"{CONTAINER} resources limits", {"memory": "256MiB"}, "'256MiB' does not match"),
        (CONTAINER, {"name": None}, "'name' is a required property"),
        (f"{CONTAINER} livenessProbe httpGet", {"port": None}, "'port' is a required property"),
        ("spec", {"selector": None}, "spec: 'selector' is a required property"),
    ],
)
def test_what_is_misspelt_mistyped_or_missing_is_found_once_and_named(
    schemas: Schemas, path: str, fields: Mapping[str, Any], said: str
) -> None:
    assert schemas.problems(DEPLOYMENT) == []
    [problem] = schemas.problems(changed(DEPLOYMENT, path, **fields))
    assert said in problem
    assert problem.startswith("Deployment plm/gateway: ")


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        (
            "",
            {"kind": "Deployments"},
            "Deployments plm/gateway: there is no Deployments in apps/v1",
        ),
        (
            "",
            {"apiVersion": "apps/v9"},
            "Deployment plm/gateway: there is no Deployment in apps/v9",
        ),
        ("", {"apiVersion": None}, "Deployment plm/gateway: there is no Deployment in None"),
        ("metadata", {"name": None}, "Deployment without a name: metadata: neither name nor"),
        ("", {"metadata": None}, "Deployment without a name: metadata: neither name nor"),
    ],
)
def test_an_object_must_say_what_it_is(
    schemas: Schemas, path: str, fields: Mapping[str, Any], said: str
) -> None:
    [problem] = schemas.problems(changed(DEPLOYMENT, path, **fields))
    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("spec", {"rolle": "sme"}, "'rolle' was unexpected"),
        ("spec links 0", {"latency": 3}, "'latency' was unexpected"),
        ("spec links 0", {"latencyMs": "3"}, "'3' is not of type 'integer'"),
        ("spec links 0", {"liquidityVolume": "01"}, "'01' does not match"),
        ("spec links 0", {"to": None}, "'to' is a required property"),
        ("spec", {"currency": None}, "'currency' is a required property"),
        ("metadata", {"label": {}}, "'label' was unexpected"),
        ("", {"apiVersion": "plm.dev/v1"}, "there is no MeshNode in plm.dev/v1"),
    ],
)
def test_a_mesh_node_is_held_against_its_own_definition(
    schemas: Schemas, path: str, fields: Mapping[str, Any], said: str
) -> None:
    assert schemas.problems(NODE) == []
    [problem] = schemas.problems(changed(NODE, path, **fields))
    assert problem.startswith("MeshNode a: ")
    assert said in problem


def test_a_field_of_a_definition_deep_down_is_not_overlooked(schemas: Schemas) -> None:
    [definition] = definitions()
    links = "spec versions 0 schema openAPIV3Schema properties spec properties links items"
    [problem] = schemas.problems(changed(definition, links, require=["to"]))
    assert "'require' was unexpected" in problem


def test_a_secret_s_data_must_be_base64(schemas: Schemas) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pg"}}
    assert schemas.problems({**secret, "data": {"password": "cGc="}}) == []
    [problem] = schemas.problems({**secret, "data": {"password": "open sesame"}})
    assert problem == "Secret pg: data.password: 'open sesame' is not a 'byte'"


def test_a_key_that_stands_twice_is_found() -> None:
    with pytest.raises(yaml.YAMLError, match="replicas stands twice"):
        read_documents("spec: {replicas: 1, paused: true, replicas: 2}")
