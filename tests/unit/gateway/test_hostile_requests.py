"""Whatever is sent, the gateway answers, blames the sender, and moves money for nobody who did not ask properly."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plm.domain import money
from plm.domain.errors import PlmError
from support import virtual_time
from support.paper_gateway import ORDER, PaperGateway, open_gateway, problem

EXAMPLES = 150
# Lone surrogates included: JSON can write them, and UTF-8 cannot.
texts = st.text(st.characters(), max_size=20) | st.sampled_from(["a", "d", "USD", "1.00", "\0", ""])
numbers = (
    st.integers() | st.floats() | st.sampled_from([10**400, -(10**40), float("nan"), float("inf")])
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
changed_orders = st.builds(
    lambda changes: ORDER | changes,
    st.dictionaries(
        st.sampled_from([*ORDER, "k", "disjoint", "withoutNodes", "holdMsMax"]) | texts,
        values,
        max_size=3,
    ),
)
one_field_changed = st.builds(
    lambda field, value: ORDER | {field: value}, st.sampled_from(list(ORDER)), values
)
NESTED = b"[" * 100_000
bodies = st.one_of(
    (values | changed_orders | one_field_changed).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
    st.sampled_from([NESTED, b'{"from":' + NESTED, b'{"from":' + b"9" * 5000 + b"}", b"\xef\xbb\xbf{}"]),
)  # fmt: skip
keys = st.text(st.characters(codec="latin-1"), max_size=210).map(lambda key: key.encode("latin-1"))
paths = st.text(st.characters(), min_size=1, max_size=30) | st.sampled_from(
    ["%00", "%ff%fe", "%ed%a0%80", "..", "%2e%2e/%2e%2e", "x" * 9000, "link/a/b"]
)
queries = st.dictionaries(
    st.sampled_from(["afterSeq", "limit", "waitMs", "x"]),
    (texts | st.integers().map(str)).map(lambda text: text.encode("utf-8", "replace")),
    max_size=3,
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> PaperGateway:
    folder = tmp_path_factory.mktemp("gateway")
    return virtual_time.run(open_gateway(folder, debug_enabled=True))


def send(gateway: PaperGateway, request: dict[str, Any]) -> httpx.Response:
    async def once() -> httpx.Response:
        async with gateway.client() as client:
            return await client.request(**request)

    return virtual_time.run(once())


def check(response: httpx.Response) -> None:
    """An answer, a redirection to where the answer is, or a problem that is the sender's."""
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        problem(response)


def is_proper(body: bytes) -> bool:
    """Whether these bytes ask for a payment that can be made, by a reading apart from the gateway's."""
    try:
        order = json.loads(body)
        amount = money.parse_amount(order["amount"], order["currency"])
    except (ValueError, TypeError, KeyError, RecursionError, PlmError):
        return False
    texts_only = all(isinstance(value, str) for value in order.values())
    return texts_only and order.keys() == ORDER.keys() and amount > 0


@settings(max_examples=EXAMPLES)
@given(bodies, keys)
def test_no_body_and_no_key_breaks_paying(gateway: PaperGateway, body: bytes, key: bytes) -> None:
    head = len(gateway.mesh.ledger.chain)
    headers = {b"Idempotency-Key": key, b"Content-Type": b"application/json"}
    request = {"method": "POST", "url": "/v1/payments", "content": body, "headers": headers}
    response = send(gateway, request)
    check(response)
    if not is_proper(body):
        assert response.status_code >= 400
        assert len(gateway.mesh.ledger.chain) == head


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(["/v1/routes", "/debug/hold/b", "/v1/ledger/verify"]), bodies)
def test_no_body_breaks_what_else_takes_one(gateway: PaperGateway, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    check(send(gateway, {"method": "POST", "url": path, "content": body, "headers": headers}))


@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from(["/v1/payments/", "/v1/ledger/", "/debug/hold/", "/v1/", "/"]), paths, queries
)
def test_no_path_and_no_query_breaks_asking(
    gateway: PaperGateway, prefix: str, path: str, query: dict[str, bytes]
) -> None:
    url = prefix + quote(path.encode("utf-8", "surrogatepass"), safe="/%.")
    check(send(gateway, {"method": "GET", "url": url, "params": query}))


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=60), st.binary(max_size=40))
def test_no_header_breaks_anything(
    gateway: PaperGateway, value: bytes, content_type: bytes
) -> None:
    """Whatever stands in a header that we read; without a key of ours the answer is 401, or 400 for the body."""
    headers = {b"Authorization": value, b"Content-Type": content_type, b"Idempotency-Key": b"k"}
    body = json.dumps(ORDER).encode()
    response = send(
        gateway, {"method": "POST", "url": "/v1/payments", "content": body, "headers": headers}
    )
    assert problem(response)[0] in {400, 401}
