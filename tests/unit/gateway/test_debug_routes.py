"""Debug: for operators, when it is on; when it is off there is no route, and no node hears of anything."""

from pathlib import Path

import httpx
import pytest
from support.paper_gateway import SHOP_KEY, PaperGateway, open_gateway, problem

ROUTES = [("POST", "/debug/hold/b"), ("GET", "/debug/hold/b"), ("POST", "/debug/exit/b")]


async def ask(
    gateway: PaperGateway, method: str, path: str, key: str | None = "", body: object = None
) -> httpx.Response:
    async with gateway.client() if key == "" else gateway.client(key) as client:
        return await client.request(method, path, json={} if body is None else body)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_off_means_that_there_is_no_such_route(
    gateway: PaperGateway, method: str, path: str
) -> None:
    assert problem(await ask(gateway, method, path)) == (403, "debug_disabled")
    assert problem(await ask(gateway, method, path, SHOP_KEY)) == (403, "forbidden")
    assert problem(await ask(gateway, method, path, None)) == (401, "unauthenticated")
    assert problem(await ask(gateway, method, "/debug/anything")) == (403, "debug_disabled")
    assert gateway.hold_points.asked == []


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_on_it_still_needs_a_key_of_role_operator(
    tmp_path: Path, method: str, path: str
) -> None:
    gateway = await open_gateway(tmp_path, debug_enabled=True)
    assert problem(await ask(gateway, method, path, SHOP_KEY)) == (403, "forbidden")
    assert problem(await ask(gateway, method, path, None)) == (401, "unauthenticated")
    assert gateway.hold_points.asked == []


async def test_an_operator_arms_looks_and_makes_a_node_leave(tmp_path: Path) -> None:
    gateway = await open_gateway(tmp_path, debug_enabled=True)
    armed = await ask(gateway, "POST", "/debug/hold/b", body={"holdMsMax": 700})
    looked = await ask(gateway, "GET", "/debug/hold/b?waitMs=10")
    left = await ask(gateway, "POST", "/debug/exit/b")
    assert armed.json()["state"] == "armed"
    assert looked.json() == {"state": "reached", "paymentId": "pay_1", "attempt": 2}
    assert (left.status_code, left.content) == (204, b"")
    assert gateway.hold_points.asked == [("arm", "b", 700), ("look", "b", 10), ("exit", "b")]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/debug/hold/b", {"holdMsMax": 0}),
        ("POST", "/debug/hold/b", {"holdMsMax": 10_001}),
        ("GET", "/debug/hold/b?waitMs=10001", None),
        ("GET", "/debug/hold/No%20Node", None),
        ("POST", "/debug/exit/ledger:7443%2F", None),
    ],
)
async def test_nothing_is_held_for_long_and_only_nodes_are_reached(
    tmp_path: Path, method: str, path: str, body: object
) -> None:
    gateway = await open_gateway(tmp_path, debug_enabled=True)
    status, _ = problem(await ask(gateway, method, path, body=body))
    assert status in {400, 404}
    assert gateway.hold_points.asked == []
