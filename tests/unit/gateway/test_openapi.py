"""The contract in docs/openapi.json: fresh, complete, and with examples that are what they are examples of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from plm.gateway import openapi
from plm.gateway.routes import PROBLEMS
from support.paper_gateway import PaperGateway, open_gateway

DOCUMENT = json.loads(openapi.PATH.read_text())
METHODS = {"get", "post"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def examples(operation: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Examples with the schemas that they must fit."""
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [response.get("content", {}) for response in operation["responses"].values()]
    for content in contents:
        for media in content.values():
            if "example" in media:
                yield media["example"], media["schema"]
            name = media["schema"].get("$ref", "").rpartition("/")[2]
            schema = DOCUMENT["components"]["schemas"].get(name, media["schema"])
            for example in schema.get("examples", ()):
                yield example, schema


def routes_of(gateway: PaperGateway) -> set[tuple[str, str]]:
    """What the application answers, as the contract would write it; the contract itself left out."""
    found = set()
    pending: list[Any] = [*gateway.app.routes]
    while pending:
        route = pending.pop()
        if hasattr(route, "original_router"):  # FastAPI keeps an included router whole
            pending += route.original_router.routes
        elif route.path != gateway.app.openapi_url:
            path = route.path.replace(":path}", "}")
            found |= {(method.lower(), path) for method in route.methods}
    return found


def test_the_file_is_fresh() -> None:
    assert openapi.PATH.read_text() == openapi.render(), "run: make generate"


async def test_it_lists_exactly_the_routes(tmp_path: Path) -> None:
    with_debug = await open_gateway(tmp_path, debug_enabled=True)
    listed = {(method, path) for method, path, _ in operations()}
    assert {method for method, _ in listed} <= METHODS
    assert routes_of(with_debug) == listed


async def test_a_gateway_without_debug_serves_a_contract_without_it(gateway: PaperGateway) -> None:
    served = (await gateway.get("/v1/openapi.json", None)).json()
    listed = {(method, path) for method, path, _ in operations() if "/debug/" not in path}
    assert {(method, path) for path, each in served["paths"].items() for method in each} == listed
    assert not any("debug" in path for path in served["paths"])


@pytest.mark.parametrize("place", [(method, path) for method, path, _ in operations()])
def test_every_operation_has_an_example_that_fits(place: tuple[str, str]) -> None:
    method, path = place
    operation = DOCUMENT["paths"][path][method]
    parameters = [each for each in operation.get("parameters", ()) if each["in"] == "path"]
    answers = operation["responses"]
    good = answers.get("200", {}).get("content", {}).get("application/json", {})
    assert "example" in good or "204" in answers, "no example of a good answer"
    assert all("description" in each for each in parameters)
    root = {"components": DOCUMENT["components"]}
    for example, schema in examples(operation):
        jsonschema.validate(example, {**root, **schema})


@pytest.mark.parametrize("place", [(method, path) for method, path, _ in operations()])
def test_every_operation_says_how_it_refuses(place: tuple[str, str]) -> None:
    method, path = place
    answers = DOCUMENT["paths"][path][method]["responses"]
    assert path == "/healthz" or answers["default"]["content"].keys() == {
        "application/problem+json"
    }
    assert "422" not in answers, "we answer 400 with a code"


def test_the_problems_example_fits() -> None:
    schema = PROBLEMS["default"]["content"]["application/problem+json"]["schema"]
    for example in schema["examples"]:
        jsonschema.validate(example, schema)


async def test_real_answers_fit_what_is_promised(tmp_path: Path) -> None:
    """The body models are forbidding: an answer with a field too many or few would not fit."""
    gateway = await open_gateway(tmp_path)
    paid = (await gateway.pay("k")).json()
    answers = {
        "PaymentBody": paid,
        "NodesBody": (await gateway.get("/v1/nodes")).json(),
        "AccountBody": (await gateway.get("/v1/ledger/link/a/b")).json(),
    }
    for name, answer in answers.items():
        schema = DOCUMENT["components"]["schemas"][name]
        jsonschema.validate(answer, {"components": DOCUMENT["components"], **schema})
