"""Two replicas on a real API server: who acts, how long a handover takes, what an operator's death leaves behind."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from cryptography import x509
from plmop.settings import LeaseSettings
from support.stage import Replica, Stage, link, make_ready, mesh_node
from support.waiting import wait_until

pytestmark = pytest.mark.stores

KILLED_WITHIN_S = 15.0
GIVE_UP_S = 60
LEASE_S = LeaseSettings().duration_s
LIFETIME_S = 12


def holder(stage: Stage) -> str:
    lease = stage.api.get("lease", "plm-operator")
    return "" if lease is None else str(lease["spec"].get("holderIdentity", ""))


@pytest.fixture
def replicas(stage: Stage) -> Iterator[tuple[Replica, Replica]]:
    """Two operators; the first one leads."""
    first, second = stage.operator(), stage.operator()
    first.start()
    first.wait_ready()
    wait_until(lambda: holder(stage) == first.identity, GIVE_UP_S, "the first leads")
    second.start()
    second.wait_ready()
    yield first, second
    for replica in (first, second):
        replica.stop()
    stage.clear()


def test_an_orderly_handover_does_not_wait_for_the_lease_to_expire(
    stage: Stage, replicas: tuple[Replica, Replica], tell: Callable[[str], None]
) -> None:
    first, second = replicas
    make_ready(stage, mesh_node("a"))
    first.terminate()
    took_s = wait_until(lambda: holder(stage) == second.identity, GIVE_UP_S, "handover")
    assert took_s < LEASE_S
    make_ready(stage, mesh_node("b"))
    tell(f"operator stopped in order: the other one leads after {took_s:.1f} s")
    first.stop()


def test_after_a_kill_the_other_acts_within_fifteen_seconds(
    stage: Stage, replicas: tuple[Replica, Replica], tell: Callable[[str], None]
) -> None:
    first, _ = replicas
    make_ready(stage, mesh_node("a"))
    first.kill()
    began = time.monotonic()
    assert stage.api.apply(mesh_node("b")).returncode == 0
    wait_until(lambda: stage.api.get("deployment", "node-b") is not None, GIVE_UP_S, "it acts")
    took_s = time.monotonic() - began
    assert took_s < KILLED_WITHIN_S
    make_ready(stage, mesh_node("b"))
    tell(f"operator killed: the other one acts after {took_s:.1f} s")


def test_everything_can_be_deleted_while_no_operator_lives(
    stage: Stage, replicas: tuple[Replica, Replica]
) -> None:
    """What it would have done meanwhile is done by the next one: the node leaves the mesh."""
    make_ready(stage, mesh_node("a", links=[link("b", "7.00")]), mesh_node("b"))
    for replica in replicas:
        replica.kill()
    stage.api.do("delete", "meshnode", "a", "-n", "plm", "--timeout=5s")
    assert stage.api.get("meshnode", "a") is None
    assert stage.ledger.books.nodes["a"].enabled
    survivor = stage.operator()
    survivor.start()
    wait_until(lambda: not stage.ledger.books.nodes["a"].enabled, GIVE_UP_S, "a has left the mesh")
    survivor.stop()
    assert stage.ledger.books.accounts["link/a/b"].posted == 700


def test_what_changed_while_no_operator_lived_is_put_right(
    stage: Stage, replicas: tuple[Replica, Replica]
) -> None:
    make_ready(stage, mesh_node("a"))
    for replica in replicas:
        replica.kill()
    stage.api.do("delete", "service", "node-a", "-n", "plm")
    stage.api.do("scale", "deployment", "node-a", "-n", "plm", "--replicas=0")
    certificate = stage.api.get("secret", "node-a-tls")
    survivor = stage.operator()
    survivor.start()
    wait_until(
        lambda: stage.api.get("service", "node-a") is not None, GIVE_UP_S, "the Service is back"
    )

    def replicas_desired() -> int:
        found = stage.api.get("deployment", "node-a")
        assert found is not None
        return int(found["spec"]["replicas"])

    wait_until(lambda: replicas_desired() == 1, GIVE_UP_S, "one replica")
    again = stage.api.get("secret", "node-a-tls")
    survivor.stop()
    assert certificate is not None
    assert again is not None
    assert again["data"] == certificate["data"], "a restart renews no certificate"


def test_a_restart_of_the_operator_shows_in_no_status(
    stage: Stage, replicas: tuple[Replica, Replica]
) -> None:
    """Whoever waits for Ready is not startled: nothing flips, nothing is written, no event is told."""
    make_ready(stage, mesh_node("a", links=[link("b")]), mesh_node("b"))
    before = json.loads(stage.api.do("get", "mn", "-n", "plm", "-o", "json"))["items"]
    first, second = replicas
    first.terminate()
    wait_until(lambda: holder(stage) == second.identity, GIVE_UP_S, "handover")
    wait_until(lambda: "plm_operator_last_success" in second.metrics(), GIVE_UP_S, "it has worked")
    after = json.loads(stage.api.do("get", "mn", "-n", "plm", "-o", "json"))["items"]
    assert [item["metadata"]["resourceVersion"] for item in after] == [
        item["metadata"]["resourceVersion"] for item in before
    ]


def test_certificates_are_renewed_in_time(stage: Stage) -> None:
    """There is a new one before the old one ends, and the node stays Ready over it."""
    operator = stage.operator(PLM_LEAF_LIFETIME_S=LIFETIME_S, PLM_RESYNC_S=2, PLM_TRUST_SETTLE_S=1)
    operator.start()
    make_ready(stage, mesh_node("a"))

    def ends_at_s(name: str) -> float:
        found = stage.api.get("secret", name)
        assert found is not None
        leaf = x509.load_pem_x509_certificate(base64.b64decode(found["data"]["tls.crt"]))
        return leaf.not_valid_after_utc.timestamp()

    old_ends_at_s = {name: ends_at_s(name) for name in ("node-a-tls", "ledger-tls")}
    expiry = stage.node("a")["status"]["certificateExpiresAt"]

    def is_renewed(name: str) -> bool:
        return ends_at_s(name) > old_ends_at_s[name]

    for name, old in old_ends_at_s.items():
        wait_until(partial(is_renewed, name), GIVE_UP_S, f"{name} is renewed")
        assert ends_at_s(name) - LIFETIME_S < old, "issued before the old one had ended"
    assert stage.ready("a") == ("True", "Ready")
    wait_until(
        lambda: stage.node("a")["status"]["certificateExpiresAt"] > expiry,
        GIVE_UP_S,
        "the status says so",
    )
    operator.stop()
    stage.clear()
