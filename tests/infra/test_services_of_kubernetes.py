"""Every Service: reachable from where it should be, leading to a port that is there, and no reason to wait."""

import pytest
from support.charts import Manifest
from support.objects import of_kind, title, workloads
from support.program import declared

# Patroni writes the addresses of these itself.
WITHOUT_SELECTOR = {"Service/pg", "Service/pg-config"}


@pytest.fixture(scope="module")
def services(everything: list[Manifest]) -> list[Manifest]:
    return of_kind(everything, "Service")


def test_the_edge_alone_is_reachable_from_outside(services: list[Manifest]) -> None:
    kinds = {title(each): each["spec"].get("type", "ClusterIP") for each in services}
    assert "LoadBalancer" not in kinds.values()
    assert {name: kind for name, kind in kinds.items() if kind != "ClusterIP"} == {
        "Service/edge": "NodePort"
    }
    for each in services:
        assert not {"externalIPs", "loadBalancerIP", "externalName"} & each["spec"].keys()


def test_the_edge_listens_where_the_stack_says_and_sees_who_comes(services: list[Manifest]) -> None:
    """Policies admit by the client's address: a proxy in between would make all clients one."""
    [edge] = [each["spec"] for each in services if title(each) == "Service/edge"]
    assert [port["nodePort"] for port in edge["ports"]] == [declared()["edgeNodePort"]["default"]]
    assert edge["externalTrafficPolicy"] == "Local"
    assert declared()["apiUrl"]["default"].endswith(f":{edge['ports'][0]['nodePort']}")


def test_pulumi_waits_for_pods_and_never_for_a_service(services: list[Manifest]) -> None:
    """The operator's own are none of Pulumi's."""
    for each in services:
        if each["metadata"]["labels"]["app.kubernetes.io/managed-by"] != "plm-operator":
            annotations = each["metadata"].get("annotations", {})
            assert annotations.get("pulumi.com/skipAwait") == "true", title(each)


def test_every_port_leads_to_one_that_the_container_opens(
    services: list[Manifest], everything: list[Manifest]
) -> None:
    looked_at = set()
    for each in services:
        selector = each["spec"].get("selector")
        if not selector:
            continue
        looked_at.add(title(each))
        [pods] = [
            found for found in workloads(everything) if selector.items() <= found.pod_labels.items()
        ]
        open_ports = {value for port in pods.containers[0]["ports"] for value in port.values()}
        for port in each["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in open_ports, title(each)
    assert {title(each) for each in services} - looked_at == WITHOUT_SELECTOR


def test_what_pulumi_waits_for_it_does_not_wait_for_long(everything: list[Manifest]) -> None:
    """Its own patience is ten minutes; what does not come up in three here never does."""
    for each in [*everything]:
        by_pulumi = each["kind"] in {"StatefulSet", "Deployment", "Job"} and (
            each["metadata"]["labels"]["app.kubernetes.io/managed-by"] != "plm-operator"
        )
        if by_pulumi or each["kind"] == "MeshNode":
            timeout = each["metadata"].get("annotations", {}).get("pulumi.com/timeoutSeconds")
            assert timeout is not None, title(each)
            assert int(timeout) <= 300, title(each)


def test_pulumi_waits_until_mesh_nodes_are_ready(everything: list[Manifest]) -> None:
    nodes = of_kind(everything, "MeshNode")
    assert len(nodes) == 4
    for each in nodes:
        assert each["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"
