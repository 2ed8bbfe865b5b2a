"""Charts as tests see them: what helm says for each release, asked once, and never changed by another test."""

import pytest
from support import charts
from support.charts import HelmRefusedError
from support.objects import of_kind

CHART = "plm-services"
IMAGE = {"image": "plm.local/services@sha256:1"}


def test_objects_that_a_test_changes_are_its_own() -> None:
    [mine] = of_kind(charts.render(CHART, IMAGE), "Job")
    mine["spec"]["template"]["spec"].clear()
    [other] = of_kind(charts.render(CHART, IMAGE), "Job")
    assert other["spec"]["template"]["spec"]["containers"]


def test_values_release_and_namespace_tell_renderings_apart() -> None:
    """Each of them after the first was remembered."""
    for values, release, namespace in (
        ({}, "", "plm"),
        ({}, "mesh50", "plm"),
        ({}, "", "elsewhere"),
        ({"debugEnabled": True}, "", "plm"),
    ):
        found = charts.render(CHART, IMAGE | values, release=release, namespace=namespace)
        deployments = of_kind(found, "Deployment")
        [gateway] = [each for each in deployments if each["metadata"]["name"] == "gateway"]
        [container] = gateway["spec"]["template"]["spec"]["containers"]
        said = {each["name"]: each["value"] for each in container["env"]}
        assert gateway["metadata"]["labels"]["app.kubernetes.io/instance"] == (release or CHART)
        assert gateway["metadata"]["namespace"] == namespace
        assert said["PLM_DEBUG_ENABLED"] == ("true" if values else "false")


def test_helm_s_own_words_come_out_when_it_refuses() -> None:
    with pytest.raises(HelmRefusedError, match="unheard"):
        charts.render(CHART, {**IMAGE, "unheard": 1})
