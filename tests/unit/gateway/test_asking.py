"""What can be asked beside paying: payments, routes, nodes, accounts, the verdict, and whether anybody is there."""

from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from plm.domain.errors import Code, Unavailable
from plm.domain.orders import DisableOrder
from support.paper_books import Fault
from support.paper_gateway import ORDER, SHOP_KEY, PaperGateway, problem


async def routes(gateway: PaperGateway, **changes: object) -> httpx.Response:
    async with gateway.client() as client:
        return await client.post("/v1/routes", json=ORDER | changes)


async def test_a_payment_reads_as_it_was_answered(gateway: PaperGateway) -> None:
    paid = (await gateway.pay("k")).json()
    found = await gateway.get(f"/v1/payments/{paid['paymentId']}")
    assert (found.status_code, found.json()) == (200, paid)


async def test_a_payment_is_shown_to_those_who_may_pay_from_its_node(
    gateway: PaperGateway,
) -> None:
    theirs = (await gateway.pay("k")).json()["paymentId"]
    own = (await gateway.pay("k", ORDER | {"from": "b"}, SHOP_KEY)).json()["paymentId"]
    assert problem(await gateway.get(f"/v1/payments/{theirs}", SHOP_KEY)) == (403, "forbidden")
    assert (await gateway.get(f"/v1/payments/{own}", SHOP_KEY)).status_code == 200
    assert problem(await gateway.get("/v1/payments/pay_0")) == (404, "unknown_payment")


async def test_routes_come_best_first_with_their_reasons_and_move_nothing(
    gateway: PaperGateway,
) -> None:
    head = len(gateway.mesh.ledger.chain)
    answer = (await routes(gateway)).json()
    assert [route["nodes"] for route in answer["routes"]] == [["a", "b", "d"], ["a", "c", "d"]]
    weights = [route["weight"] for route in answer["routes"]]
    assert weights == sorted(weights)
    for route in answer["routes"]:
        assert route["weight"] == sum(step["weight"] for step in route["steps"])
        assert route["steps"][0]["entropyBits"] == 1.0  # A's two links hold the same
    first, second = answer["routes"][1]["steps"]
    assert (first["amount"], second["amount"], second["fee"]) == ("13.01", "10.00", "3.01")
    assert answer["leftOut"] == []
    assert len(gateway.mesh.ledger.chain) == head


async def test_a_route_can_be_asked_for_without_some_nodes(gateway: PaperGateway) -> None:
    answer = (await routes(gateway, withoutNodes=["b"])).json()
    assert [route["nodes"] for route in answer["routes"]] == [["a", "c", "d"]]
    left_out = {(each["from"], each["to"], each["reason"]) for each in answer["leftOut"]}
    assert left_out == {("a", "b", "node b is left out"), ("b", "d", "node b is left out")}


async def test_a_link_that_is_too_small_says_so(gateway: PaperGateway) -> None:
    answer = (await routes(gateway, amount="1000000.01")).json()
    assert answer["routes"] == []
    assert {each["reason"] for each in answer["leftOut"]} == {
        "volume 100000000 is below the amount 100000001"
    }


async def test_disjoint_routes_share_no_link(gateway: PaperGateway) -> None:
    answer = (await routes(gateway, disjoint=True, k=16)).json()
    links = [(step["from"], step["to"]) for route in answer["routes"] for step in route["steps"]]
    assert len(links) == len(set(links)) == 4


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": "0"}, 400, "invalid_amount"),
        ({"currency": "EUR"}, 422, "currency_mismatch"),
        ({"to": "a"}, 400, "same_node"),
        ({"to": "nobody"}, 404, "unknown_node"),
        ({"k": 0}, 400, "invalid_request"),
        ({"k": 17}, 400, "invalid_request"),
        ({"withoutNodes": ["x"] * 65}, 400, "invalid_request"),
    ],
)
async def test_no_route_is_quoted_for_what_nobody_could_pay(
    gateway: PaperGateway, change: dict[str, object], status: int, code: str
) -> None:
    assert problem(await routes(gateway, **change)) == (status, code)


async def test_a_client_asks_for_routes_from_its_own_nodes_alone(gateway: PaperGateway) -> None:
    async with gateway.client(SHOP_KEY) as client:
        refused = await client.post("/v1/routes", json=ORDER)
        own = await client.post("/v1/routes", json=ORDER | {"from": "b"})
    assert problem(refused) == (403, "forbidden")
    assert [route["nodes"] for route in own.json()["routes"]] == [["b", "d"]]


async def test_nodes_are_listed_with_their_links_disabled_ones_too(gateway: PaperGateway) -> None:
    gateway.mesh.ledger.decide(DisableOrder("c"))
    nodes = {node["nodeId"]: node for node in (await gateway.get("/v1/nodes", SHOP_KEY)).json()["nodes"]}  # fmt: skip
    assert list(nodes) == ["a", "b", "c", "d", "e"]
    assert [node["enabled"] for node in nodes.values()] == [True, True, False, True, True]
    [link] = nodes["c"]["links"]
    assert (link["to"], link["baseFee"], link["feeRatePpm"]) == ("d", "3.00", 10)
    assert (link["declaredVolume"], link["enabled"]) == ("1000000.00", False)


async def test_an_account_shows_its_balance_and_a_page_of_its_entries(
    gateway: PaperGateway,
) -> None:
    await gateway.pay("k")
    body = (await gateway.get("/v1/ledger/link/b/d")).json()
    assert (body["posted"], body["held"], body["available"]) == ("999990.00", "0.00", "999990.00")
    assert [entry["kind"] for entry in body["entries"]] == ["fund", "hold", "post"]
    first = body["entries"][0]["seq"]
    page = (await gateway.get(f"/v1/ledger/link/b/d?afterSeq={first}&limit=1")).json()
    assert [entry["kind"] for entry in page["entries"]] == ["hold"]
    external = (await gateway.get("/v1/ledger/external/USD")).json()
    assert external["posted"] == "-4000000.00"


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("link/x/y", None, 404, "unknown_account"),
        ("", None, 404, "unknown_account"),
        ("link/a/b", SHOP_KEY, 403, "forbidden"),
        ("external/USD", SHOP_KEY, 403, "forbidden"),
        ("link/a/b?limit=0", None, 400, "invalid_request"),
        ("link/a/b?limit=1001", None, 400, "invalid_request"),
        ("link/a/b?afterSeq=-1", None, 400, "invalid_request"),
        (f"link/a/b?afterSeq={2**63}", None, 400, "invalid_request"),
        (f"link/a/b?afterSeq={'9' * 5000}", None, 400, "invalid_request"),
    ],
)
async def test_an_account_is_shown_to_its_owner_and_within_limits(
    gateway: PaperGateway, path: str, key: str | None, status: int, code: str
) -> None:
    async with gateway.client(key) if key else gateway.client() as client:
        assert problem(await client.get(f"/v1/ledger/{path}")) == (status, code)


async def test_verification_needs_a_key_of_role_operator(gateway: PaperGateway) -> None:
    async with gateway.client() as client:
        verdict = (await client.post("/v1/ledger/verify")).json()
    async with gateway.client(SHOP_KEY) as client:
        refused = await client.post("/v1/ledger/verify")
    assert (verdict["ok"], verdict["sums"]) == (True, {"USD": "0.00", "EUR": "0.00"})
    assert verdict["headHash"] == gateway.mesh.ledger.chain[-1].hash.hex()
    assert problem(refused) == (403, "forbidden")


async def test_health_needs_no_key_and_no_store(gateway: PaperGateway) -> None:
    gateway.mesh.ledger.weather = fails_with(Unavailable(Code.LEDGER_UNAVAILABLE, "down"))
    response = await gateway.get("/healthz", None)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_what_is_not_there_is_a_problem_too(gateway: PaperGateway) -> None:
    async with gateway.client() as client:
        assert problem(await client.get("/v1/nothing")) == (404, "invalid_request")
        wrong = await client.delete("/v1/nodes")
    assert problem(wrong) == (405, "invalid_request")
    assert wrong.headers["allow"] == "GET"


def fails_with(error: Exception) -> Callable[[str, str], Coroutine[Any, Any, Fault]]:
    """Weather in which each call fails so."""

    async def weather(_caller: str, _method: str) -> Fault:
        raise error

    return weather


async def test_a_ledger_that_does_not_answer_is_said_to_be_away_and_when_to_ask_again(
    gateway: PaperGateway,
) -> None:
    gateway.mesh.ledger.weather = fails_with(Unavailable(Code.LEDGER_UNAVAILABLE, "no answer"))
    for path in ("/v1/nodes", "/v1/payments/pay_1", "/v1/ledger/link/a/b"):
        assert problem(await gateway.get(path)) == (503, "ledger_unavailable")


async def test_a_fault_of_our_own_tells_nothing_but_that_it_may_have_happened(
    gateway: PaperGateway,
) -> None:
    gateway.mesh.ledger.weather = fails_with(RuntimeError("a password in a message"))
    answers = [await gateway.pay("k"), await gateway.get("/v1/nodes")]
    assert {problem(answer) for answer in answers} == {(500, "internal")}
    assert all(answer.json()["effectUnknown"] for answer in answers)
    assert not any("password" in answer.text for answer in answers)
