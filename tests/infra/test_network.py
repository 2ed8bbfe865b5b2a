"""Who may talk to whom: denied unless declared, declared at both ends, and written down as it is."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plminfra import policies
from support import charts, program, reach
from support.charts import Manifest
from support.objects import of_kind, title, workloads
from support.postgres import ROOT
from support.program import IMAGES
from support.reach import ANYWHERE, DNS, Connection

API_PORTS = {443, 6443}
MEASURED = ("edge", "gateway", "ledger", "mesh-node", "plm-operator")
PEOPLE = tuple(program.declared()["edgeClients"]["default"])
# How docs/architecture.md calls them.
NAMES = {
    "node": "mesh-node",
    "nodes": "mesh-node",
    "operator": "plm-operator",
    "migration job": "migrate",
    "Postgres": "postgres",
    "NATS": "nats",
}


@pytest.fixture(scope="module")
def pods(everything: list[Manifest]) -> dict[str, Mapping[str, str]]:
    """Labels of pods by the name they have in common."""
    return {
        each.pod_labels["app.kubernetes.io/name"]: each.pod_labels for each in workloads(everything)
    }


@pytest.fixture(scope="module")
def rules(everything: list[Manifest]) -> list[Manifest]:
    return of_kind(everything, "NetworkPolicy")


@pytest.fixture(scope="module")
def sent(rules: list[Manifest], pods: dict[str, Mapping[str, str]]) -> set[Connection]:
    return reach.sent(rules, pods)


@pytest.fixture(scope="module")
def taken(rules: list[Manifest], pods: dict[str, Mapping[str, str]]) -> set[Connection]:
    return reach.taken(rules, pods)


def test_whatever_is_not_declared_is_denied_in_both_directions(rules: list[Manifest]) -> None:
    [deny] = [each["spec"] for each in rules if each["spec"]["podSelector"] == {}]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_pod_has_a_rule_of_its_own_for_both_directions(
    rules: list[Manifest], pods: dict[str, Mapping[str, str]]
) -> None:
    for name, labels in pods.items():
        own = [
            each["spec"]
            for each in rules
            if each["spec"]["podSelector"] and reach.selects(each["spec"]["podSelector"], labels)
        ]
        assert [each["policyTypes"] for each in own] == [["Ingress", "Egress"]], name


def test_no_rule_is_for_nobody(rules: list[Manifest], pods: dict[str, Mapping[str, str]]) -> None:
    idle = [
        title(each)
        for each in rules
        if not any(reach.selects(each["spec"]["podSelector"], labels) for labels in pods.values())
    ]
    assert idle == []


def test_each_connection_is_declared_at_both_ends(
    pods: dict[str, Mapping[str, str]], sent: set[Connection], taken: set[Connection]
) -> None:
    """Two charts and the program say each their half: a half alone lets nothing through, or too much."""
    assert {each for each in sent if each.server in pods} == {
        each for each in taken if each.client in pods
    }


def test_connections_lead_to_ports_that_are_open(
    everything: list[Manifest], pods: dict[str, Mapping[str, str]], sent: set[Connection]
) -> None:
    listening = {
        (each.pod_labels["app.kubernetes.io/name"], port["containerPort"])
        for each in workloads(everything)
        for container in each.containers
        for port in container.get("ports", [])
    }
    assert {(each.server, each.port) for each in sent if each.server in pods} <= listening


def test_people_reach_the_edge_and_prometheus_the_metrics_and_no_more(
    pods: dict[str, Mapping[str, str]], taken: set[Connection]
) -> None:
    """Not the stores': Patroni takes commands where it shows its metrics, and NATS tells who its clients are."""
    assert {each for each in taken if each.client not in pods} == {
        *(Connection(cidr, "edge", 8443) for cidr in PEOPLE),
        *(Connection(ANYWHERE, name, 8080) for name in MEASURED),
    }


def test_metrics_are_read_at_the_port_that_kubelet_probes(everything: list[Manifest]) -> None:
    """So nothing but figures and verdicts is behind it: the other port of each is where work comes in."""
    for each in workloads(everything):
        if each.pod_labels["app.kubernetes.io/name"] in MEASURED:
            [container] = each.containers
            probed = container["readinessProbe"]["httpGet"]["port"]
            ports = {port["containerPort"]: port["name"] for port in container["ports"]}
            assert probed in {8080, ports[8080]}, each


@pytest.mark.parametrize("chart", ["plm-operator", "plm-services"])
def test_metrics_are_for_those_alone_whom_the_values_name(chart: str) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    values = {"image": IMAGES["services"], "networkPolicy": {"metricsFrom": [peer]}}
    if chart == "plm-operator":
        values["nodeImage"] = IMAGES["services"]
    admitted = {
        title(each): rule.get("from")
        for each in of_kind(charts.render(chart, values), "NetworkPolicy")
        for rule in each["spec"]["ingress"]
        if 8080 in {port["port"] for port in rule["ports"]}
    }
    assert len(admitted) == {"plm-operator": 1, "plm-services": 3}[chart]
    assert list(admitted.values()) == [[peer]] * len(admitted)


def test_only_postgres_and_the_operator_leave_and_only_for_the_api_server(
    everything: list[Manifest], pods: dict[str, Mapping[str, str]], sent: set[Connection]
) -> None:
    """Its address differs from cluster to cluster. By that door no pod is reached: none listens at these ports."""
    leaving = {each for each in sent if each.server not in pods and each.server != DNS}
    assert leaving == {
        Connection(name, ANYWHERE, port)
        for name in ("postgres", "plm-operator")
        for port in API_PORTS
    }
    listening = {
        port["containerPort"]
        for each in workloads(everything)
        for container in each.containers
        for port in container.get("ports", [])
    }
    assert listening.isdisjoint(API_PORTS)


def test_names_resolve_for_all_that_call_anybody(sent: set[Connection]) -> None:
    calling = {each.client for each in sent}
    assert {each.client for each in sent if each.server == DNS} == calling
    assert {each.port for each in sent if each.server == DNS} == {53}
    assert "nats" not in calling


def documented() -> set[Connection]:
    """The table of docs/architecture.md, without the API server, which has no port there."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition("## Who talks to whom")[2].partition("\n## ")[0]
    found = set()
    for client, servers in re.findall(r"^\| ([\w ]+) \| ([^|]+) \|", section, re.MULTILINE):
        for each in re.sub(r"\([^)]*\)", "", servers).split(","):
            name = re.sub(r"[\d]+|\band\b", "", each).strip()
            for port in re.findall(r"\d+", each):
                client_name, server = NAMES.get(client, client), NAMES.get(name, name)
                found.add(Connection(client_name, server, int(port)))
    return found


def test_the_page_tells_exactly_what_is_open(
    pods: dict[str, Mapping[str, str]], sent: set[Connection], taken: set[Connection]
) -> None:
    between_pods = {each for each in sent if each.server in pods}
    people = {Connection("people", "edge", each.port) for each in taken if each.client in PEOPLE}
    metrics = {
        Connection("Prometheus", each.server, each.port)
        for each in taken
        if each.client == ANYWHERE
    }
    assert documented() == between_pods | people | metrics


RANGES = st.lists(st.ip_addresses(v=4).map("{}/32".format), max_size=4, unique=True)


@given(RANGES)
def test_exactly_the_given_ranges_reach_the_edge(ranges: list[str]) -> None:
    """None at all where none is given: to Kubernetes an empty list of peers means everybody."""
    rules = policies.spec_of("edge", tuple(ranges))["ingress"]
    admitting = [each for each in rules if 8443 in {port["port"] for port in each["ports"]}]
    found = [[each["ip_block"]["cidr"] for each in rule["from"]] for rule in admitting]
    assert found == ([ranges] if ranges else [])
    for other in ("postgres", "nats"):
        assert "ip_block" not in str(policies.spec_of(other, tuple(ranges))["ingress"])


@given(st.text(), RANGES)
def test_a_name_without_edges_may_nothing(name: str, ranges: list[str]) -> None:
    if name not in {end for each in policies.EDGES for end in (each.client, each.server)}:
        spec = policies.spec_of(name, tuple(ranges))
        assert (spec["ingress"], spec["egress"]) == ([], [])
        assert spec["policy_types"] == ["Ingress", "Egress"]
