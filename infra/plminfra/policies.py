"""Who talks to whom among stores and edge, and to nobody else. The charts declare the same for what they install."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from plminfra import edge, pods
from plminfra.stores import nats
from plminfra.stores import patroni as postgres

_API_PORTS = (443, 6443)
_DNS: dict[str, Any] = {
    "to": [
        {
            "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": "kube-system"}},
            "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


@dataclass(frozen=True)
class Edge:
    """`client` may open connections to `server` at these ports. Names are those of the pods' labels."""

    client: str
    server: str
    ports: tuple[int, ...]


# Edges whose one end at least is a store or Caddy. `apiserver`, `people` and `prometheus` are no pods of ours.
# Stores are missing from the latter's: Patroni takes commands at the port where it shows its metrics, and NATS
# has none that Prometheus could read.
EDGES: tuple[Edge, ...] = (
    Edge("ledger", postgres.NAME, (postgres.PORT,)),
    Edge("migrate", postgres.NAME, (postgres.PORT,)),
    Edge(postgres.NAME, postgres.NAME, (postgres.PORT, postgres.REST_PORT)),
    Edge(postgres.NAME, "apiserver", _API_PORTS),
    Edge("ledger", nats.NAME, (nats.PORT,)),
    Edge("gateway", nats.NAME, (nats.PORT,)),
    Edge("people", edge.NAME, (edge.PORT,)),
    Edge("prometheus", edge.NAME, (edge.PROBE_PORT,)),
    Edge(edge.NAME, "gateway", (8443,)),
)


def _peer(name: str, people: tuple[str, ...]) -> list[dict[str, Any]]:
    if name == "people":
        return [{"ip_block": {"cidr": cidr}} for cidr in people]
    if name == "apiserver":
        # Its address is the cluster's affair: the port and the token are what guard it.
        return [{"ip_block": {"cidr": "0.0.0.0/0"}}]
    return [{"pod_selector": {"match_labels": pods.selector(name)}}]


def _ports(ports: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _rules(
    direction: str, name: str, ports: tuple[int, ...], people: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    if name == "prometheus":
        # From anywhere: where it runs is the cluster's affair, and the port shows figures alone.
        yield {"ports": _ports(ports)}
    # A rule with an empty list of peers would admit everybody; without people, nobody comes in.
    elif peers := _peer(name, people):
        yield {direction: peers, "ports": _ports(ports)}


def spec_of(name: str, people: tuple[str, ...]) -> dict[str, Any]:
    """The policy of one store's or the edge's pods: exactly its edges, and DNS where it calls anybody."""
    ingress = [
        rule
        for each in EDGES
        if each.server == name
        for rule in _rules("from", each.client, each.ports, people)
    ]
    egress = [
        rule
        for each in EDGES
        if each.client == name
        for rule in _rules("to", each.server, each.ports, people)
    ]
    return {
        "pod_selector": {"match_labels": pods.selector(name)},
        "policy_types": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": [_DNS, *egress] if egress else [],
    }


def create(
    namespace: pulumi.Input[str], people: tuple[str, ...], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Deny everything in the namespace, then admit the declared edges."""
    nothing = {"pod_selector": {}, "policy_types": ["Ingress", "Egress"]}
    specs = {"default-deny": nothing}
    specs |= {name: spec_of(name, people) for name in (postgres.NAME, nats.NAME, edge.NAME)}
    return [
        k8s.networking.v1.NetworkPolicy(
            f"policy-{name}",
            metadata=pods.metadata(name, namespace, of=name),
            spec=spec,
            opts=opts,
        )
        for name, spec in specs.items()
    ]
