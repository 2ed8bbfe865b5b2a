"""Who may talk to whom: the judge of rules is judged by rules whose meaning is plain."""

from collections.abc import Mapping
from typing import Any

import pytest
from support import reach
from support.reach import ANYWHERE, DNS, Connection

PODS = {"a": {"app": "a", "tier": "x"}, "b": {"app": "b", "tier": "x"}, "c": {"app": "c"}}
DENY = {"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}
PORTS = [{"protocol": "TCP", "port": 1}]


def of(name: str, **rules: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": name}}
    return {"spec": {"podSelector": selector, "policyTypes": ["Ingress", "Egress"], **rules}}


def pods(**labels: str) -> Mapping[str, Any]:
    return {"podSelector": {"matchLabels": labels}}


def test_nothing_is_open_by_default() -> None:
    assert reach.sent([DENY], PODS) == reach.taken([DENY], PODS) == set()


def test_a_pod_without_any_rule_is_an_error_since_it_may_do_all() -> None:
    with pytest.raises(AssertionError, match="Egress of b is not guarded"):
        reach.sent([of("a")], PODS)


def test_each_end_is_judged_for_itself() -> None:
    sending = [DENY, of("a", egress=[{"to": [pods(app="b")], "ports": PORTS}])]
    assert reach.sent(sending, PODS) == {Connection("a", "b", 1)}
    assert reach.taken(sending, PODS) == set()
    taking = [DENY, of("b", ingress=[{"from": [pods(app="a")], "ports": PORTS}])]
    assert reach.taken(taking, PODS) == {Connection("a", "b", 1)}
    assert reach.sent(taking, PODS) == set()


def test_a_direction_that_a_policy_does_not_name_is_not_its_affair() -> None:
    rule = of("a", egress=[{"to": [pods(app="b")], "ports": PORTS}])
    rule["spec"]["policyTypes"] = ["Ingress"]
    assert reach.sent([DENY, rule], PODS) == set()


@pytest.mark.parametrize(
    ("peer", "servers"),
    [
        (pods(tier="x"), {"a", "b"}),
        ({"podSelector": {}}, {"a", "b", "c"}),
        (
            {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["b", "c"]}]}},
            {"b", "c"},
        ),
        ({"ipBlock": {"cidr": "192.0.2.0/24"}}, {"192.0.2.0/24"}),
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, {ANYWHERE}),
        ({"namespaceSelector": {}, **pods(**{"k8s-app": "kube-dns"})}, {DNS}),
    ],
)  # fmt: skip
def test_a_peer_means_those_that_it_selects(peer: Mapping[str, Any], servers: set[str]) -> None:
    rule = of("a", egress=[{"to": [peer], "ports": PORTS}])
    assert {each.server for each in reach.sent([DENY, rule], PODS)} == servers


def test_a_rule_without_peers_means_anybody() -> None:
    rule = of("a", ingress=[{"ports": PORTS}])
    assert reach.taken([DENY, rule], PODS) == {Connection(ANYWHERE, "a", 1)}


def test_a_peer_that_nobody_is_is_an_error() -> None:
    rule = of("a", egress=[{"to": [pods(app="z")], "ports": PORTS}])
    with pytest.raises(AssertionError, match="means nobody"):
        reach.sent([DENY, rule], PODS)
