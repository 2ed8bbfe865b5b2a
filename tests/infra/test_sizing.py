"""Sizes: what is rendered is what is counted, and what is counted fits the machine it is promised to fit."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from plminfra.sizing import CLUSTER_MIB, PROFILES, SHIM_MIB, Profile, Size, profile_of
from support import charts, objects
from support.charts import Manifest
from support.objects import Workload, of_kind, workloads
from support.postgres import ROOT
from support.program import IMAGES

TINY = PROFILES["tiny"]
LARGER_MESH_MIB = 6 * 1024  # promised in docs/operating.md: everything, the 50 nodes included
CORES_MILLIS = 2000
_UNITS_MIB = {"Mi": 1, "Gi": 1024}


def mib(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS_MIB[unit]


def millis(text: str) -> int:
    return int(text.removesuffix("m")) if text.endswith("m") else 1000 * int(text)


def size_of(workload: Workload) -> Size:
    """What one of its pods asks for and may take, all containers together."""
    resources = [each["resources"] for each in workload.containers]
    return Size(
        sum(millis(each["requests"]["cpu"]) for each in resources),
        sum(mib(each["requests"]["memory"]) for each in resources),
        sum(mib(each["limits"]["memory"]) for each in resources),
    )


def sized_as(workload: Workload) -> str:
    """Its name in the profile."""
    name = workload.pod_labels["app.kubernetes.io/name"]
    return {"plm-operator": "operator"}.get(name, name)


def requests(found: Iterable[Workload]) -> tuple[int, int]:
    """Thousandths of cores and MiB, shims included, that pods ask for."""
    sizes = [(size_of(each), each.replicas) for each in found]
    return (
        sum(size.cpu_millis * count for size, count in sizes),
        sum((size.memory_mib + SHIM_MIB) * count for size, count in sizes),
    )


@pytest.fixture(scope="module")
def running(everything: list[Manifest]) -> list[Workload]:
    return workloads(everything)


def test_each_pod_is_rendered_with_the_size_that_the_profile_gives_it(
    running: list[Workload],
) -> None:
    for each in running:
        assert size_of(each) == TINY.size(sized_as(each)), each


def test_the_profile_counts_exactly_the_pods_that_run(running: list[Workload]) -> None:
    """A workload that is added, or a replica, without being counted here breaks the promise in silence."""
    counted: Counter[str] = Counter()
    for each in running:
        counted[sized_as(each)] += each.replicas
    assert counted == TINY.replicas
    assert TINY.sizes.keys() == TINY.replicas.keys()


def test_what_runs_asks_for_no_more_than_two_cores_and_four_gibibytes(
    running: list[Workload],
) -> None:
    """The embedded cluster's own daemons included, and a shim beside each pod."""
    cpu_millis, memory_mib = requests(running)
    assert cpu_millis == TINY.cpu_millis() <= TINY.cpu_millis_budget == CORES_MILLIS
    assert memory_mib + CLUSTER_MIB == TINY.memory_mib() <= TINY.memory_mib_budget == 4 * 1024


def test_even_at_its_limits_everything_fits(running: list[Workload]) -> None:
    """So no pod is ever killed for the machine's sake, only for its own."""
    most = sum((size_of(each).memory_mib_max + SHIM_MIB) * each.replicas for each in running)
    assert most + CLUSTER_MIB <= TINY.memory_mib_budget


def test_an_update_fits_too(everything: list[Manifest]) -> None:
    """A rolling Deployment runs one pod more for a while; of those that recreate, none."""
    surging = {
        each["metadata"]["name"]
        for each in of_kind(everything, "Deployment")
        if each["spec"].get("strategy", {}).get("type") != "Recreate"
    }
    assert surging == {"edge", "gateway", "plm-operator"}
    _, extra_mib = requests(
        replace(each, replicas=1) for each in workloads(everything) if each.name in surging
    )
    assert TINY.memory_mib() + extra_mib <= TINY.memory_mib_budget


def test_with_the_larger_mesh_everything_fits_six_gibibytes(everything: list[Manifest]) -> None:
    """A release of nodes alone, beside the demo's four; what the operator makes of it is counted."""
    values = yaml.safe_load(
        (ROOT / "charts" / "plm-services" / "values-mesh50.yaml").read_text()
    ) | {"image": IMAGES["services"]}
    release = charts.render("plm-services", values, release="mesh50")
    nodes = [*release, *of_kind(everything, "Deployment")]
    made = workloads(objects.children(nodes))
    assert len(made) == 50
    assert {each["kind"] for each in release} == {"MeshNode"}
    own_millis, own_mib = requests(made)
    assert TINY.memory_mib() + own_mib <= LARGER_MESH_MIB
    assert TINY.cpu_millis() + own_millis <= CORES_MILLIS


def test_the_larger_mesh_is_promised_as_it_is_counted() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    section = page.partition("## A larger mesh")[2].partition("\n## ")[0]
    assert f"{LARGER_MESH_MIB // 1024} GiB" in section


def test_volumes_hold_what_the_stores_may_write(everything: list[Manifest]) -> None:
    claims = {
        each["metadata"]["name"]: mib(claim["spec"]["resources"]["requests"]["storage"])
        for each in of_kind(everything, "StatefulSet")
        for claim in each["spec"]["volumeClaimTemplates"]
    }
    assert claims == {"pg": TINY.volumes_mib["postgres"], "nats": TINY.volumes_mib["nats"]}


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="plm:profile is 'huge'; known are tiny"):
        profile_of("huge")


SIZES = st.builds(
    lambda cpu, memory, more: Size(cpu, memory, memory + more),
    st.integers(1, 8000),
    st.integers(1, 65536),
    st.integers(0, 65536),
)
NAMES = st.sampled_from(["postgres", "nats", "edge", "ledger", "mesh-node"])


def profile(sizes: Mapping[str, Size], replicas: Mapping[str, int]) -> Profile:
    return Profile(sizes, replicas, {}, 0, 0)


@given(SIZES)
def test_a_size_says_to_kubernetes_what_it_is(size: Size) -> None:
    resources: dict[str, Any] = size.resources()
    pod = Workload("Job", "x", 1, {}, {}, {"containers": [{"resources": resources}]})
    assert size_of(pod) == size
    assert mib(resources["requests"]["memory"]) <= mib(resources["limits"]["memory"])


@given(st.dictionaries(NAMES, st.tuples(SIZES, st.integers(0, 60))))
def test_sums_are_those_of_the_pods_one_by_one(parts: dict[str, tuple[Size, int]]) -> None:
    whole = profile(
        {name: size for name, (size, _) in parts.items()},
        {name: count for name, (_, count) in parts.items()},
    )
    pods = [size for size, count in parts.values() for _ in range(count)]
    assert whole.cpu_millis() == sum(pod.cpu_millis for pod in pods)
    assert whole.memory_mib() == CLUSTER_MIB + sum(pod.memory_mib + SHIM_MIB for pod in pods)


@given(st.dictionaries(NAMES, st.tuples(SIZES, st.integers(0, 60)), min_size=1), st.data())
def test_one_pod_more_costs_its_size_and_a_shim(
    parts: dict[str, tuple[Size, int]], data: st.DataObject
) -> None:
    sizes = {name: size for name, (size, _) in parts.items()}
    counts = {name: count for name, (_, count) in parts.items()}
    name = data.draw(st.sampled_from(sorted(parts)))
    before = profile(sizes, counts)
    after = profile(sizes, {**counts, name: counts[name] + 1})
    assert after.memory_mib() - before.memory_mib() == sizes[name].memory_mib + SHIM_MIB
    assert after.cpu_millis() - before.cpu_millis() == sizes[name].cpu_millis


@pytest.mark.parametrize("name", PROFILES)
def test_every_size_of_every_profile_leaves_room_above_what_it_asks_for(name: str) -> None:
    for size in PROFILES[name].sizes.values():
        assert 0 < size.memory_mib <= size.memory_mib_max
        assert size.cpu_millis > 0
