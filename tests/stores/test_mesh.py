"""The mesh as real processes on loopback: what dies in mid-payment, and what the answer is all the same."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest
from support.mesh import CLIENT_KEY, Link, Mesh, declare, running_mesh
from support.waiting import wait_until

pytestmark = pytest.mark.stores


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """The demo's four nodes; tests leave them running and quiet."""
    with running_mesh() as running:
        yield running


def arm(mesh: Mesh, node: str) -> None:
    with mesh.client() as client:
        assert client.post(f"/debug/hold/{node}", json={"holdMsMax": 5000}).is_success


def wait_reached(mesh: Mesh, node: str) -> None:
    with mesh.client() as client:
        state = client.get(f"/debug/hold/{node}", params={"waitMs": 5000}).json()["state"]
    assert state == "reached"


def is_quiet(mesh: Mesh) -> bool:
    """Whether no account has money set aside."""
    nodes = mesh.get("/v1/nodes")["nodes"]
    accounts = [f"link/{node['nodeId']}/{link['to']}" for node in nodes for link in node["links"]]
    return all(mesh.get(f"/v1/ledger/{account}")["held"] == "0.00" for account in accounts)


def settled(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    payment = response.json()
    assert payment["state"] == "settled", payment
    return payment


def states(payment: Any) -> list[tuple[str, str]]:
    return [("".join(attempt["route"]), attempt["state"]) for attempt in payment["attempts"]]


def test_a_node_killed_while_it_holds_the_money_is_routed_around(mesh: Mesh) -> None:
    arm(mesh, "b")
    with ThreadPoolExecutor() as pool:
        paying: Future[httpx.Response] = pool.submit(mesh.pay, "node-killed")
        wait_reached(mesh, "b")
        mesh.nodes["b"].kill()
        payment = settled(paying.result())
    assert states(payment) == [("abd", "closed"), ("acd", "posted")]
    assert payment["fee"] == "3.00"
    mesh.nodes["b"].start()
    mesh.nodes["b"].wait_ready()
    assert is_quiet(mesh)
    assert mesh.verify()["ok"]


def test_a_gateway_killed_in_mid_payment_leaves_it_to_whoever_asks_next(mesh: Mesh) -> None:
    """The first attempt is closed or expires; the same key settles once."""
    arm(mesh, "b")
    with ThreadPoolExecutor() as pool:
        paying = pool.submit(mesh.pay, "gateway-killed")
        wait_reached(mesh, "b")
        mesh.gateway.kill()
        with pytest.raises(httpx.TransportError):
            paying.result()
    mesh.gateway.start()
    mesh.gateway.wait_ready()
    payment = settled(mesh.pay("gateway-killed"))
    assert [state for _, state in states(payment)].count("posted") == 1
    assert settled(mesh.pay("gateway-killed")) == payment
    wait_until(lambda: is_quiet(mesh), 30, "no hold is left")
    assert mesh.verify()["ok"]


def test_a_ledger_killed_in_mid_payment_loses_nothing(mesh: Mesh) -> None:
    arm(mesh, "b")
    with ThreadPoolExecutor() as pool:
        paying = pool.submit(mesh.pay, "ledger-killed")
        wait_reached(mesh, "b")
        mesh.ledger.kill()
        mesh.ledger.start()
        mesh.ledger.wait_ready()
        paying.result()
    payment = settled(mesh.pay("ledger-killed"))
    assert [state for _, state in states(payment)].count("posted") == 1
    wait_until(lambda: is_quiet(mesh), 30, "no hold is left")
    assert mesh.verify()["ok"]


def test_thirty_copies_of_one_request_are_one_payment(mesh: Mesh) -> None:
    before = mesh.get("/v1/ledger/link/d/b")["posted"]
    gate = threading.Barrier(30)

    def pay() -> Any:
        gate.wait()
        return settled(mesh.pay("copies", "7.00"))

    with ThreadPoolExecutor(30) as pool:
        answers = [future.result() for future in [pool.submit(pay) for _ in range(30)]]
    assert all(answer == answers[0] for answer in answers)
    after = mesh.get("/v1/ledger/link/d/b")["posted"]
    assert Decimal(after) - Decimal(before) == Decimal("7.00")


def test_a_fee_that_changes_just_before_a_payment_costs_a_look_and_not_the_payment(
    mesh: Mesh,
) -> None:
    """The gateway has not heard of it yet: what it quotes is not as the ledger has it."""
    for generation in range(2, 13):
        fee = 100 + generation % 2  # at last what it was
        asyncio.run(declare(mesh, "b", Link("d", fee), generation))
        payment = settled(mesh.pay(f"fee-{generation}", "1.00"))
        assert payment["fee"] == f"{fee / 100:.2f}"


def test_routing_does_not_wait_for_the_bus(mesh: Mesh) -> None:
    """Without it a gateway starts, pays, and learns of changes all the same, only later."""
    mesh.nats.kill()
    try:
        mesh.gateway.stop()
        mesh.gateway.start()
        mesh.gateway.wait_ready()
        settled(mesh.pay("without-a-bus", "1.00"))
        for generation, fee in ((101, 500), (102, 100)):
            asyncio.run(declare(mesh, "b", Link("d", fee), generation))
            wait_until(partial(quotes, mesh, fee), 30, "the gateway has heard of the fee")
    finally:
        mesh.nats.start()


def quotes(mesh: Mesh, fee: int) -> bool:
    """Whether this is what the gateway quotes for the link from B to D, minor units."""
    body = {"from": "b", "to": "d", "amount": "1.00", "currency": "USD"}
    with mesh.client() as client:
        [route] = client.post("/v1/routes", json=body).json()["routes"]
    return bool(route["steps"][0]["fee"] == f"{fee / 100:.2f}")


def test_the_same_key_with_another_body_is_a_conflict(mesh: Mesh) -> None:
    settled(mesh.pay("reused", "1.00"))
    response = mesh.pay("reused", "2.00")
    assert (response.status_code, response.json()["code"]) == (409, "key_reused")


@pytest.mark.parametrize(
    ("amount", "ends", "status", "code"),
    [
        ("0.00", ("a", "d"), 400, "invalid_amount"),
        ("-1.00", ("a", "d"), 400, "invalid_amount"),
        ("1.001", ("a", "d"), 400, "invalid_amount"),
        ("9" * 40, ("a", "d"), 400, "amount_too_large"),
        ("1.00", ("a", "a"), 400, "same_node"),
        ("1.00", ("d", "a"), 503, "no_route"),
        ("99999999.00", ("a", "d"), 503, "no_route"),
    ],
)
def test_what_cannot_be_paid_is_refused_and_moves_nothing(
    mesh: Mesh, amount: str, ends: tuple[str, str], status: int, code: str
) -> None:
    before = mesh.verify()["headSeq"]
    response = mesh.pay(f"bad-{amount}-{ends}".replace(" ", ""), amount, ends)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert mesh.verify()["headSeq"] == before


def test_a_payment_to_nobody_is_refused_for_ever_and_moves_nothing(mesh: Mesh) -> None:
    before = mesh.verify()["headSeq"]
    first, again = (mesh.pay("to-nobody", "1.00", ("a", "nobody")) for _ in range(2))
    body = first.json()
    assert (first.status_code, body["state"], body["refusalCode"]) == (
        200,
        "refused",
        "unknown_node",
    )
    assert again.json() == body
    assert mesh.pay("to-nobody", "1.00").json()["code"] == "key_reused"
    assert mesh.verify()["headSeq"] == before


def test_a_client_pays_from_its_own_nodes_only(mesh: Mesh) -> None:
    body = {"from": "a", "to": "d", "amount": "1.00", "currency": "USD"}
    with mesh.client(CLIENT_KEY) as client:
        refused = client.post("/v1/payments", json=body, headers={"Idempotency-Key": "x"})
        own = client.post(
            "/v1/payments", json={**body, "from": "b"}, headers={"Idempotency-Key": "y"}
        )
        verify = client.post("/v1/ledger/verify")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert own.status_code == 200
    assert verify.status_code == 403
    with mesh.client("no-such-key") as client:
        assert client.get("/v1/nodes").status_code == 401


def test_only_the_edge_may_open_a_connection(mesh: Mesh) -> None:
    """A node's certificate is of the right CA, and still none that the gateway talks to."""
    context = mesh.tls_context("node-a")
    with (
        httpx.Client(verify=context, trust_env=False) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get(f"https://127.0.0.1:{mesh.https_port}/healthz")
    with mesh.client() as client:
        assert client.get("/healthz").is_success


def test_routes_are_explained(mesh: Mesh) -> None:
    body = {"from": "a", "to": "d", "amount": "10.00", "currency": "USD", "withoutNodes": ["b"]}
    with mesh.client() as client:
        answer = client.post("/v1/routes", json=body).json()
    assert [route["nodes"] for route in answer["routes"]] == [["a", "c", "d"]]
    step = answer["routes"][0]["steps"][1]
    assert (step["fee"], step["entropyBits"], step["weight"]) == ("3.00", 0.0, 300.0)
    assert {(each["from"], each["to"]) for each in answer["leftOut"]} == {("a", "b"), ("b", "d")}
    assert all(each["reason"] == "node b is left out" for each in answer["leftOut"])
