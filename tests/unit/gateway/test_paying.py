"""POST /v1/payments: what is refused and moves nothing, what one key means, and what the receipt says."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from plm.domain.errors import Code, Refused
from plm.gateway import engine
from plm.node import engine as node_engine
from support import virtual_time
from support.demo_mesh import node_order
from support.paper_books import Fault
from support.paper_gateway import (
    OPERATOR_KEY,
    ORDER,
    OTHER_KEY,
    SHOP_KEY,
    PaperGateway,
    open_gateway,
    problem,
)


def settled(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["state"] == "settled", body
    return body


def routes(body: Any) -> list[tuple[str, str]]:
    return [("".join(attempt["route"]), attempt["state"]) for attempt in body["attempts"]]


async def test_a_receipt_is_what_the_chain_says(gateway: PaperGateway) -> None:
    body = settled(await gateway.pay("k"))
    assert (body["amount"], body["fee"], body["route"]) == ("10.00", "1.00", ["a", "b", "d"])
    holds = body["attempts"][0]["holds"]
    chain = {entry.seq: entry for entry in gateway.mesh.ledger.chain}
    for hold in holds:
        entry = chain[hold["entrySeq"]]
        assert (hold["entryHash"], hold["holdId"]) == (entry.hash.hex(), entry.draft.transfer_id)
        assert entry.draft.kind == "post"
    moved = [chain[hold["entrySeq"]].draft.amount for hold in holds]
    assert moved == [1100, 1000]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": "0"}, 400, "invalid_amount"),
        ({"amount": "0.00"}, 400, "invalid_amount"),
        ({"amount": "-1.00"}, 400, "invalid_amount"),
        ({"amount": "+1.00"}, 400, "invalid_amount"),
        ({"amount": "1.001"}, 400, "invalid_amount"),
        ({"amount": "1e3"}, 400, "invalid_amount"),
        ({"amount": "1,000"}, 400, "invalid_amount"),
        ({"amount": " 1"}, 400, "invalid_amount"),
        ({"amount": "٣"}, 400, "invalid_amount"),
        ({"amount": ""}, 400, "invalid_amount"),
        ({"amount": "1" + "0" * 36}, 400, "amount_too_large"),
        ({"amount": "9" * 4_000}, 400, "amount_too_large"),
        ({"amount": "9" * 4_001}, 400, "invalid_request"),
        ({"amount": 10}, 400, "invalid_request"),
        ({"amount": 10.0}, 400, "invalid_request"),
        ({"amount": None}, 400, "invalid_request"),
        ({"currency": "usd"}, 400, "unknown_currency"),
        ({"currency": "XYZ"}, 400, "unknown_currency"),
        ({"to": "a"}, 400, "same_node"),
        ({"to": "No Node"}, 400, "invalid_request"),
        ({"to": "x" * 41}, 400, "invalid_request"),
        ({"more": "1"}, 400, "invalid_request"),
        ({"from_node": "a"}, 400, "invalid_request"),
    ],
)
async def test_what_is_no_payment_is_refused_and_leaves_no_trace(
    gateway: PaperGateway, change: dict[str, object], status: int, code: str
) -> None:
    before = len(gateway.mesh.ledger.chain)
    assert problem(await gateway.pay("k", ORDER | change)) == (status, code)
    assert len(gateway.mesh.ledger.chain) == before
    assert gateway.mesh.ledger.books.payments == {}
    settled(await gateway.pay("k"))  # the key is still free


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "EUR"}, "currency_mismatch"),
        ({"to": "e"}, "currency_mismatch"),
        ({"to": "nobody"}, "unknown_node"),
        ({"from": "nobody"}, "unknown_node"),
    ],
)
async def test_what_the_mesh_cannot_carry_is_refused_for_ever_under_its_key(
    gateway: PaperGateway, change: dict[str, object], code: str
) -> None:
    before = len(gateway.mesh.ledger.chain)
    first = await gateway.pay("k", ORDER | change)
    body = first.json()
    assert (first.status_code, body["state"], body["refusalCode"]) == (200, "refused", code)
    gateway.mesh.ledger.decide(replace(node_order("a"), node_id="nobody"))
    assert (await gateway.pay("k", ORDER | change)).json() == body
    assert (await gateway.get(f"/v1/payments/{body['paymentId']}")).json() == body
    assert problem(await gateway.pay("k")) == (409, "key_reused")
    assert {entry.draft.kind for entry in gateway.mesh.ledger.chain[before:]} == set()


@pytest.mark.parametrize("field", list(ORDER))
async def test_every_field_is_needed(gateway: PaperGateway, field: str) -> None:
    body = {name: value for name, value in ORDER.items() if name != field}
    assert problem(await gateway.pay("k", body)) == (400, "invalid_request")


@pytest.mark.parametrize("key", [None, "", "with space", "k" * 201, "ü", "tab\there"])
async def test_a_payment_needs_a_key_that_can_be_written_down(
    gateway: PaperGateway, key: str | None
) -> None:
    headers = {} if key is None else {b"Idempotency-Key": key.encode()}
    async with gateway.client() as client:
        response = await client.post("/v1/payments", json=ORDER, headers=headers)
    assert problem(response) == (400, "invalid_request")
    assert gateway.mesh.ledger.books.payments == {}


async def test_the_same_key_and_order_is_the_same_payment_however_it_is_written(
    gateway: PaperGateway,
) -> None:
    first = settled(await gateway.pay("k"))
    head = len(gateway.mesh.ledger.chain)
    for amount in ("10.00", "10.0", "10"):
        assert settled(await gateway.pay("k", ORDER | {"amount": amount})) == first
    written = b' {"to": "d", "currency":"USD",\n "amount":"10.00", "from":"a"}'
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    async with gateway.client() as client:
        again = await client.post("/v1/payments", content=written, headers=headers)
    assert settled(again) == first
    assert len(gateway.mesh.ledger.chain) == head


@pytest.mark.parametrize("change", [{"amount": "10.01"}, {"to": "b"}, {"from": "b"}])
async def test_the_same_key_with_another_order_is_a_conflict(
    gateway: PaperGateway, change: dict[str, str]
) -> None:
    settled(await gateway.pay("k"))
    head = len(gateway.mesh.ledger.chain)
    assert problem(await gateway.pay("k", ORDER | change)) == (409, "key_reused")
    assert len(gateway.mesh.ledger.chain) == head


async def test_a_key_belongs_to_its_client(gateway: PaperGateway) -> None:
    ours = settled(await gateway.pay("k"))
    theirs = settled(await gateway.pay("k", ORDER | {"amount": "3.00"}, OTHER_KEY))
    assert ours["paymentId"] != theirs["paymentId"]


async def test_fifty_copies_at_once_are_one_payment_and_one_answer(gateway: PaperGateway) -> None:
    before = gateway.mesh.ledger.account("link/d/b").posted
    answers = await asyncio.gather(*(gateway.pay("k") for _ in range(50)))
    assert all(settled(answer) == answers[0].json() for answer in answers)
    assert gateway.mesh.ledger.account("link/d/b").posted == before + 1000


async def test_of_two_orders_under_one_key_one_is_paid(gateway: PaperGateway) -> None:
    orders = [ORDER | {"amount": f"{1 + number % 2}.00"} for number in range(20)]
    answers = await asyncio.gather(*(gateway.pay("k", order) for order in orders))
    paid = {answer.json()["amount"] for answer in answers if answer.is_success}
    refused = {problem(answer) for answer in answers if not answer.is_success}
    assert len(paid) == 1
    assert refused == {(409, "key_reused")}


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer nobody", f"Basic {OPERATOR_KEY}", OPERATOR_KEY],
)
async def test_without_a_known_key_nothing_is_said(
    gateway: PaperGateway, authorization: str | None
) -> None:
    headers = {"Idempotency-Key": "k"}
    if authorization is not None:
        headers["Authorization"] = authorization
    async with gateway.client(None) as client:
        paid = await client.post("/v1/payments", json=ORDER, headers=headers)
        others = [
            await client.get(path, headers=headers)
            for path in ("/v1/nodes", "/v1/payments/pay_1", "/v1/ledger/link/a/b")
        ]
    assert {problem(answer) for answer in (paid, *others)} == {(401, "unauthenticated")}


async def test_a_client_pays_from_its_own_nodes_alone(gateway: PaperGateway) -> None:
    assert problem(await gateway.pay("k", ORDER, SHOP_KEY)) == (403, "forbidden")
    settled(await gateway.pay("k", ORDER | {"from": "b"}, SHOP_KEY))


async def test_the_next_route_is_taken_when_a_node_is_dead(gateway: PaperGateway) -> None:
    gateway.mesh.nodes["b"].kill()
    body = settled(await gateway.pay("k"))
    assert routes(body) == [("abd", "closed"), ("acd", "posted")]
    assert body["attempts"][0]["failedNode"] == "b"
    assert Decimal(body["fee"]) == Decimal("3.01")
    assert gateway.mesh.ledger.account("link/a/b").held == 0


async def test_no_live_route_is_not_kept(gateway: PaperGateway) -> None:
    for node in "bc":
        gateway.mesh.nodes[node].kill()
    assert problem(await gateway.pay("k")) == (503, "no_route")
    gateway.mesh.nodes["b"].is_alive = True
    assert routes(settled(await gateway.pay("k")))[-1] == ("abd", "posted")


async def test_a_definite_refusal_of_the_ledgers_is_kept(gateway: PaperGateway) -> None:
    """It is an answer: 200, with the reason inside, and the same for ever."""

    async def refuse(_caller: str, method: str) -> Fault:
        if method == "begin_attempt":
            raise Refused(Code.AMOUNT_TOO_LARGE, "with its fees it is too much")
        return Fault.NONE

    gateway.mesh.ledger.weather, fair = refuse, gateway.mesh.ledger.weather
    first = await gateway.pay("k")
    gateway.mesh.ledger.weather = fair
    body = first.json()
    assert (first.status_code, body["state"]) == (200, "refused")
    assert body["refusalCode"] == "amount_too_large"
    assert (body["route"], body["fee"]) == ([], "")
    assert (await gateway.pay("k")).json() == body


async def test_beyond_its_limit_the_gateway_turns_payments_away(tmp_path: Path) -> None:
    gateway = await open_gateway(tmp_path, in_flight_max=0)
    assert problem(await gateway.pay("k")) == (429, "overloaded")


def test_an_answer_that_was_lost_is_said_to_be_unknown_and_the_same_key_learns_it(
    tmp_path: Path,
) -> None:
    """The money has moved, the ledger falls silent for longer than a payment may take, and then comes back."""

    async def story() -> tuple[httpx.Response, httpx.Response, int]:
        gateway = await open_gateway(tmp_path)

        async def silent(_caller: str, method: str) -> Fault:
            after_commit = method in {"post_attempt", "close_attempt", "get_payment"}
            return Fault.LOST_ANSWER if after_commit else Fault.NONE

        gateway.mesh.ledger.weather, fair = silent, gateway.mesh.ledger.weather
        lost = await gateway.pay("k")
        gateway.mesh.ledger.weather = fair
        again = await gateway.pay("k")
        return lost, again, gateway.mesh.ledger.account("link/d/b").posted

    lost, again, received = virtual_time.run(story(), engine, node_engine)
    assert problem(lost) == (503, "ledger_unavailable")
    assert lost.json()["effectUnknown"] is True
    assert routes(settled(again)) == [("abd", "posted")]
    assert received == 1000
