"""The program as a whole: what it makes and in which order, what it exports, and how it refuses."""

import re
from typing import Any

import pytest
from plmkit.kubectl import NAMESPACE
from pulumi.runtime.mocks import MockResourceArgs
from support import program
from support.postgres import ROOT
from support.program import CHART, IMAGES, SECRETS, Recorder, texts_of

PODS = ("kubernetes:apps/v1:StatefulSet", "kubernetes:apps/v1:Deployment", CHART)
BEFORE_PODS = ("kubernetes:core/v1:Namespace", "kubernetes:networking.k8s.io/v1:NetworkPolicy")


def urn_of(recorder: Recorder, typ: str, name: str) -> str:
    [found] = [
        urn for urn, each in recorder.resources.items() if (each.typ, each.name) == (typ, name)
    ]
    return found


def test_the_stores_the_operator_the_services_and_the_edge_are_made(recorder: Recorder) -> None:
    components = {each.typ for each in recorder.resources.values() if each.typ.startswith("plm:")}
    assert components == {"plm:stores:Postgres", "plm:stores:Nats", "plm:edge:Edge"}
    assert {each.name for each in recorder.of_type(CHART)} == {"plm-operator", "plm-services"}


def test_outputs_have_their_documented_names(recorder: Recorder) -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    section = page.partition("## What the stack tells")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-zA-Z]+)`", section))
    assert set(recorder.outputs) == documented == {"apiUrl", "caBundle", "namespace"}


def test_outputs_tell_where_and_whom_to_trust_and_no_secret(recorder: Recorder) -> None:
    """The CA's certificate comes out of the secrets and is none; nothing else of them comes out."""
    assert recorder.outputs == {
        "apiUrl": program.declared()["apiUrl"]["default"],
        "caBundle": SECRETS["caCertificate"],
        "namespace": NAMESPACE,
    }


def test_the_stack_s_namespace_is_the_one_that_the_commands_look_into(recorder: Recorder) -> None:
    [namespace] = recorder.of_type("kubernetes:core/v1:Namespace")
    assert namespace.inputs["metadata"]["name"] == NAMESPACE


def test_the_namespace_the_secrets_and_all_rules_are_there_before_the_first_pod(
    recorder: Recorder,
) -> None:
    first = {
        urn
        for urn, each in recorder.resources.items()
        if each.typ in BEFORE_PODS or each.name.startswith("secret-")
    }
    assert len(first) >= 8
    for urn, each in recorder.resources.items():
        if each.typ in PODS:
            assert first <= recorder.before(urn), each.name


def test_services_come_after_the_stores_and_the_operator(recorder: Recorder) -> None:
    """The migrations need Postgres, the pods need their certificates, the MeshNodes their kind."""
    before = recorder.before(urn_of(recorder, CHART, "plm-services"))
    assert urn_of(recorder, CHART, "plm-operator") in before
    assert urn_of(recorder, "kubernetes:apps/v1:StatefulSet", "postgres-pods-set") in before
    assert urn_of(recorder, "kubernetes:apps/v1:StatefulSet", "nats-pods-set") in before


def test_the_edge_comes_after_the_operator_that_issues_its_certificate(recorder: Recorder) -> None:
    edge = urn_of(recorder, "kubernetes:apps/v1:Deployment", "edge-pods-set")
    assert urn_of(recorder, CHART, "plm-operator") in recorder.before(edge)


def test_children_stand_under_their_component_and_carry_its_name(recorder: Recorder) -> None:
    components = {
        urn: each for urn, each in recorder.resources.items() if each.typ.startswith("plm:")
    }
    for component, owner in components.items():
        children = [each for each in recorder.resources.values() if each.parent == component]
        assert children
        assert [each.name for each in children if not each.name.startswith(owner.name)] == []
    of_stores = {"kubernetes:apps/v1:StatefulSet", "kubernetes:apps/v1:Deployment"}
    for each in recorder.resources.values():
        assert each.typ not in of_stores or each.parent in components, each.name


def test_every_key_is_written_as_kubernetes_reads_it(recorder: Recorder) -> None:
    """A misspelt snake_case name passes through Pulumi as it is, and the API server drops it in silence."""
    wrong: list[str] = []

    def look(value: Any, path: str) -> None:
        if isinstance(value, list):
            for each in value:
                look(each, path)
        elif isinstance(value, dict):
            for name, each in value.items():
                if name in {"labels", "annotations", "matchLabels", "data", "stringData"}:
                    continue
                wrong.extend([f"{path}.{name}"] if "_" in name else [])
                look(each, f"{path}.{name}")

    for each in recorder.resources.values():
        look(each.inputs, each.name)
    assert wrong == []


def test_every_secret_is_used_and_marked_wherever_it_is(recorder: Recorder) -> None:
    """What is not marked stands in plain text in Pulumi's state."""
    for name, secret in SECRETS.items():
        holders = [
            each
            for each in recorder.resources.values()
            if any(secret in text for text in texts_of(each.inputs))
        ]
        assert holders, f"nobody reads {name}"
        for each in holders:
            marked = any(secret in text for text in each.secrets)
            assert (each.typ, marked) == ("kubernetes:core/v1:Secret", True), (name, each.name)


def test_every_image_is_used(recorder: Recorder) -> None:
    texts = {text for each in recorder.resources.values() for text in texts_of(each.inputs)}
    assert set(IMAGES.values()) <= texts


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"replicas": "3"}, "unknown configuration plm:replicas"),
        ({"images": {**IMAGES, "nats": "nats:latest"}}, "names nats without a digest"),
        ({"profile": "huge"}, "known are tiny"),
        ({"edgeNodePort": "443"}, "plm:edgeNodePort is 443"),
        ({"secrets": {**SECRETS, "caKey": ""}}, "plm:secrets lacks caKey"),
    ],
)
def test_a_wrong_stack_is_refused_before_anything_is_made(
    given: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def new_resource(_: Recorder, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        made.append(args.name)
        return "", {}

    monkeypatch.setattr(Recorder, "new_resource", new_resource)
    with pytest.raises(ValueError, match=problem):
        program.run(program.configuration(**given))
    assert made == []
