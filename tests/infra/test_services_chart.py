"""The chart of ledger, gateway, migrations and mesh: its values, its schema, and what it refuses to render."""

from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from plm.migrate.runner import FILE_S_MAX
from plmop import crds
from plmop.mesh_node import spec
from plmop.mesh_node.spec import KIND, MeshNodeSpec
from support import charts
from support.charts import HelmRefusedError
from support.objects import of_kind, workloads
from support.program import IMAGES

CHART = "plm-services"
DEFAULTS = charts.defaults(CHART)
[MESH50] = charts.read_documents((charts.CHARTS / CHART / "values-mesh50.yaml").read_text())
SCHEMA = charts.schema(CHART)


def test_the_values_fit_their_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate({**DEFAULTS, "image": IMAGES["services"]}, SCHEMA)
    assert set(SCHEMA["properties"]) - {"global"} == set(DEFAULTS)
    for name, value in DEFAULTS.items():
        properties = SCHEMA["properties"][name].get("properties")
        assert properties is None or set(properties) == set(value), name


def nodes_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The specs of all MeshNodes that come of these values, by name."""
    found = charts.render(CHART, {"image": IMAGES["services"], **values})
    return {each["metadata"]["name"]: each["spec"] for each in of_kind(found, KIND)}


def test_the_larger_mesh_leaves_the_demo_out() -> None:
    assert nodes_of({}).keys() == DEFAULTS["nodes"].keys() == set("abcd")
    larger = nodes_of(MESH50)
    assert len(larger) == 50
    assert larger.keys().isdisjoint(DEFAULTS["nodes"])


@pytest.mark.parametrize("values", [{}, MESH50], ids=["demo", "larger"])
def test_every_node_is_one_that_the_operator_takes(values: dict[str, Any]) -> None:
    """And every link ends at a node of the same mesh and currency."""
    nodes = {name: MeshNodeSpec.model_validate(each) for name, each in nodes_of(values).items()}
    for name, each in nodes.items():
        for link in each.links:
            assert link.to in nodes, (name, link.to)
            assert nodes[link.to].currency == each.currency
            assert link.to != name


def limits_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """What a schema allows: of types, ranges, patterns and keys. Words, defaults and lengths of a pattern left out."""
    if "$ref" in part:
        return limits_of(SCHEMA["$defs"][part["$ref"].rpartition("/")[2]])
    kept = ("enum", "pattern", "minimum", "maximum", "maxItems")
    found = {key: part[key] for key in kept if key in part}
    if "enum" not in part:
        found["type"] = part["type"]
    if "properties" in part:
        found |= {name: limits_of(each) for name, each in part["properties"].items()}
    if "items" in part:
        found["items"] = limits_of(part["items"])
    return found


def test_the_schema_of_a_node_is_the_operator_s() -> None:
    """A misspelt key would be dropped by the API server, and its default be in force in silence."""
    nodes = SCHEMA["properties"]["nodes"]
    each = nodes["additionalProperties"]
    assert nodes["propertyNames"]["pattern"] == spec.NODE_ID_PATTERN
    assert limits_of(each) == limits_of(crds.structural(MeshNodeSpec.model_json_schema()))
    assert each["additionalProperties"] is False
    assert SCHEMA["$defs"]["link"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": ""},
        {"image": None},
        {"imagePullPolicy": "Sometimes"},
        {"imagePullSecrets": "registry"},
        {"imagePullSecrets": ["registry"]},
        {"imagePullSecrets": [{"name": "Registry"}]},
        {"imagePullSecrets": 2 * [{"name": "registry"}]},
        {"unheard": 1},
        {"debugEnabled": "yes"},
        {"entropy": "loud"},
        {"postgres": {"port": 0}},
        {"postgres": {"port": "5432"}},
        {"postgres": {"password": "x"}},
        {"nats": {"url": "http://nats:4222"}},
        {"edge": {"podLabels": {"app.kubernetes.io/name": 1}}},
        {"core": {"enabled": "no"}},
        {"networkPolicy": {"metricsFrom": "monitoring"}},
        {"networkPolicy": {"metricsFrom": [{}]}},
        {"priorityClassName": 1},
        {"gateway": {"replicas": 0}},
        {"ledger": {"replicas": 11}},
        {"ledger": {"cpu": "1"}},
        {"ledger": {"resources": {"limits": {"memory": "lots"}}}},
        {"gateway": {"resources": {"cpu": "1"}}},
        {"nodes": {"Upper": {"role": "sme", "currency": "USD"}}},
        {"nodes": {"a": {"role": "bank"}}},
        {"nodes": {"e": {"role": "sme"}}},
        {"nodes": {"a": {"links": [{"baseFee": "1.00"}]}}},
        {"nodes": {"a": {"wrokersMax": 4}}},
        {"nodes": {"a": {"links": [{"to": "b", "liquidityVolume": "1.00", "baseFees": "1"}]}}},
        {"nodes": {"a": {"links": [{"to": "b", "liquidityVolume": 1}]}}},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(HelmRefusedError, match=r"values don't meet the specifications"):
        charts.render(CHART, {"image": IMAGES["services"], **wrong})


def test_without_the_core_there_are_nodes_and_nothing_else() -> None:
    found = charts.render(CHART, {**MESH50, "image": IMAGES["services"]}, release="mesh50")
    assert {each["kind"] for each in found} == {KIND}
    assert {each["metadata"]["name"] for each in found} == set(MESH50["nodes"]) - set("abcd")
    for each in found:
        assert each["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"


def test_pods_of_several_stand_on_several_machines_where_there_are_some() -> None:
    """And on one, where there is but one: a laptop has no second machine."""
    several = {"gateway": {"replicas": 2}, "ledger": {"replicas": 2}}
    found = charts.render(CHART, {"image": IMAGES["services"], **several})
    for each in workloads(found):
        if each.stays:
            [spread] = each.pod["topologySpreadConstraints"]
            assert spread["topologyKey"] == "kubernetes.io/hostname"
            assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
            assert spread["labelSelector"]["matchLabels"].items() <= each.pod_labels.items()
    assert {each.name for each in workloads(found) if each.replicas > 1} == {"gateway", "ledger"}


def test_a_priority_is_given_where_the_values_name_one() -> None:
    """A PriorityClass belongs to the whole cluster: none is made, and none that is not there is named."""
    priorities = {
        name: {
            each.name: each.pod.get("priorityClassName")
            for each in workloads(
                charts.render(CHART, {"image": IMAGES["services"], "priorityClassName": name})
            )
            if each.stays
        }
        for name in ("", "high")
    }
    assert priorities == {
        "": {"gateway": None, "ledger": None},
        "high": {"gateway": "high", "ledger": "high"},
    }


def test_a_secret_whose_name_looks_like_a_number_is_named_by_its_name() -> None:
    secrets = [{"name": "1e3"}, {"name": "on"}]
    found = charts.render(CHART, {"image": IMAGES["services"], "imagePullSecrets": secrets})
    named = {each.name: each.pod["imagePullSecrets"] for each in workloads(found)}
    assert len(named) == 3
    for each in named.values():
        assert each == secrets


def migration(values: Mapping[str, Any]) -> charts.Manifest:
    """The one Job that comes of these values."""
    [job] = of_kind(charts.render(CHART, {"image": IMAGES["services"], **values}), "Job")
    return job


@pytest.mark.parametrize(
    "other",
    [
        {"image": IMAGES["operator"]},
        {"imagePullPolicy": "Always"},
        {"imagePullSecrets": [{"name": "registry"}]},
        {"postgres": {"host": "elsewhere"}},
        {"postgres": {"port": 5433}},
        {"postgres": {"superuserSecret": "other"}},
        {"postgres": {"ledgerSecret": "other"}},
        {"migrate": {"resources": {"limits": {"memory": "129Mi"}}}},
    ],
    ids=str,
)
def test_whatever_the_migration_job_is_made_of_brings_another_one(other: dict[str, Any]) -> None:
    """A Job cannot be changed: under the same name an upgrade would fail, and a new image would run nothing."""
    old, new = migration({}), migration(other)
    assert old["spec"] != new["spec"]
    assert old["metadata"]["name"] != new["metadata"]["name"]


def test_a_migration_job_stays_where_nothing_of_it_changed() -> None:
    """Another name would run it again, and an upgrade would wait for it, with each change of a replica count."""
    other = {"gateway": {"replicas": 2}, "nodes": {"e": {"role": "sme", "currency": "USD"}}}
    assert migration({}) == migration(other)


def test_a_migration_that_failed_leaves_its_pods_and_their_logs() -> None:
    """Restarted in place, its pod would be deleted with the last try, and nothing would say why."""
    job = migration({})
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert "ttlSecondsAfterFinished" not in job["spec"]
    # Kubernetes pauses 10 s, then twice as long each time.
    pauses_s = sum(10 * 2**number for number in range(job["spec"]["backoffLimit"]))
    assert pauses_s < int(job["metadata"]["annotations"]["pulumi.com/timeoutSeconds"])


def test_a_migration_job_ends_and_not_before_a_file_may() -> None:
    """A Postgres whose machine has vanished never answers: without a limit the job would wait for ever."""
    assert migration({})["spec"]["activeDeadlineSeconds"] > FILE_S_MAX
