"""Who may talk to whom by NetworkPolicies, each end judged for itself, as the cluster judges it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Labels = Mapping[str, str]

DNS = "dns"
ANYWHERE = "anywhere"


@dataclass(frozen=True, order=True)
class Connection:
    """One direction of one port. An end is a pod's name, `dns`, a range of addresses, or `anywhere`."""

    client: str
    server: str
    port: int


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a label selector picks these labels. An empty one picks all."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    for each in selector.get("matchExpressions", []):
        assert each["operator"] == "In", f"teach this test {each['operator']}"
        if labels.get(each["key"]) not in each["values"]:
            return False
    return True


def sent(policies: Iterable[Mapping[str, Any]], pods: Mapping[str, Labels]) -> set[Connection]:
    """What pods may open, as far as the rules of those who call are asked."""
    return {
        Connection(name, peer, port)
        for name, peer, port in _allowed(policies, pods, "Egress", "egress", "to")
    }


def taken(policies: Iterable[Mapping[str, Any]], pods: Mapping[str, Labels]) -> set[Connection]:
    """What pods may take in, as far as the rules of those who are called are asked."""
    return {
        Connection(peer, name, port)
        for name, peer, port in _allowed(policies, pods, "Ingress", "ingress", "from")
    }


def _allowed(
    policies: Iterable[Mapping[str, Any]],
    pods: Mapping[str, Labels],
    direction: str,
    rules: str,
    peers: str,
) -> set[tuple[str, str, int]]:
    listed = [each["spec"] for each in policies]
    found: set[tuple[str, str, int]] = set()
    for name, labels in pods.items():
        own = [
            spec
            for spec in listed
            if direction in spec["policyTypes"] and selects(spec["podSelector"], labels)
        ]
        if not own:
            raise AssertionError(f"{direction} of {name} is not guarded at all")
        for spec in own:
            for rule in spec.get(rules) or []:
                found |= {
                    (name, peer, port["port"])
                    for peer in _peers(rule.get(peers) or [{}], pods)
                    for port in rule["ports"]
                }
    return found


def _peers(peers: Iterable[Mapping[str, Any]], pods: Mapping[str, Labels]) -> set[str]:
    found: set[str] = set()
    for peer in peers:
        if "ipBlock" in peer:
            cidr = peer["ipBlock"]["cidr"]
            found.add(ANYWHERE if cidr == "0.0.0.0/0" else cidr)
        elif "namespaceSelector" in peer:
            assert peer["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
            found.add(DNS)
        elif "podSelector" in peer:
            chosen = {name for name, labels in pods.items() if selects(peer["podSelector"], labels)}
            assert chosen, f"{peer} means nobody"
            found |= chosen
        else:
            found.add(ANYWHERE)
    return found
