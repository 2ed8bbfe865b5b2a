"""The gateway as `plm` sees it: one method per operation, typed results, bounded retries with the same idempotency key.

Nothing here decides what to do with a refusal; it comes out as a Problem that says whether anything was done.
"""

import asyncio
import random
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from plmkit.console import ExitCode, KitError
from plmkit.credentials import Credentials
from plmkit.problems import BAD_ANSWER, NO_ANSWER, UNREACHABLE, Problem
from plmkit.receipts import Json, Order, Payment, Verdict

# The gateway gives a payment 15 s; an answer later than this was lost.
ANSWER_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 3.0
# Recomputing a long chain takes its time: about 100 000 rows per second.
VERIFY_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Patience:
    """How long a request is sent again after an unknown or temporary outcome. The key stays the same."""

    tries_max: int = 8
    wait_s: float = 0.1
    wait_s_max: float = 3.0
    total_s: float = 60.0


ONCE = Patience(tries_max=1)

_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = ANSWER_TIMEOUT_S


class Api:
    """One connection pool to one gateway. Every method raises Problem when it brings no result."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._patience = patience or Patience()
        self._sleep = sleep
        self._clock = clock

    async def pay(self, order: Order, key: str) -> Payment:
        """The payment of this key, settled or refused for good; sent again while its outcome is unknown."""
        request = _Request("POST", "/v1/payments", order.body(), headers={"Idempotency-Key": key})
        return _parsed(Payment.read, await self._call(request))

    async def payment(self, payment_id: str) -> Payment:
        """A payment as the ledger has it now."""
        return _parsed(
            Payment.read, await self._call(_Request("GET", f"/v1/payments/{payment_id}"))
        )

    async def routes(self, order: Order, *, k: int = 3) -> Json:
        """Up to k routes, best first, with the reasons."""
        return await self._call(_Request("POST", "/v1/routes", {**order.body(), "k": k}))

    async def nodes(self) -> Json:
        """All nodes with their links."""
        return await self._call(_Request("GET", "/v1/nodes"))

    async def account(self, account_id: str, *, after_seq: int = 0, limit: int = 100) -> Json:
        """Balance of an account and a page of its entries."""
        query = {"afterSeq": str(after_seq), "limit": str(limit)}
        return await self._call(_Request("GET", f"/v1/ledger/{account_id}", query=query))

    async def verify(self) -> Verdict:
        """What the ledger finds when it recomputes its chain and sums."""
        request = _Request("POST", "/v1/ledger/verify", timeout_s=VERIFY_TIMEOUT_S)
        return _parsed(Verdict.read, await self._call(request))

    async def arm_hold_point(self, node: str, *, hold_ms_max: int) -> Json:
        """Make the node stop once, after its next hold and before its next call."""
        body = {"holdMsMax": hold_ms_max}
        return await self._call(_Request("POST", f"/debug/hold/{node}", body))

    async def hold_point(self, node: str, *, wait_ms: int) -> Json:
        """State of the hold point; waits up to wait_ms for it to be reached."""
        query = {"waitMs": str(wait_ms)}
        return await self._call(_Request("GET", f"/debug/hold/{node}", query=query))

    async def exit_node(self, node: str) -> None:
        """Make the node's process leave at once with code 137. Asked once: a second asking would hit its successor."""
        try:
            await self._call(_Request("POST", f"/debug/exit/{node}"), ONCE)
        except Problem as problem:
            # A process that has left cannot answer: no answer is the expected one.
            if not problem.is_retryable:
                raise

    async def _call(self, request: _Request, patience: Patience | None = None) -> Json:
        patience = patience or self._patience
        give_up_at = self._clock() + patience.total_s
        effect_unknown = False
        for number in range(1, patience.tries_max + 1):
            try:
                return await self._once(request)
            except Problem as problem:
                effect_unknown = effect_unknown or problem.effect_unknown
                wait_s = problem.retry_after_s or _wait_s(patience, number)
                last = number == patience.tries_max or self._clock() + wait_s > give_up_at
                if last or not problem.is_retryable:
                    # A final refusal is built from the stored payment: it overrules doubts about earlier tries.
                    problem.effect_unknown = effect_unknown and not problem.is_final
                    raise
                await self._sleep(wait_s)
        raise AssertionError("tries_max is at least 1")

    async def _once(self, request: _Request) -> Json:
        try:
            response = await self._client.request(
                request.method,
                request.path,
                json=request.body,
                params=request.query,
                headers=request.headers,
                timeout=httpx.Timeout(request.timeout_s, connect=CONNECT_TIMEOUT_S),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Problem(
                UNREACHABLE, f"{self._client.base_url} does not answer: {error}"
            ) from error
        except httpx.RequestError as error:
            detail = f"the answer was lost: {error or type(error).__name__}"
            raise Problem(NO_ANSWER, detail, effect_unknown=True) from error
        return _body_of(response)


def _wait_s(patience: Patience, number: int) -> float:
    """Doubling, with jitter, so that clients that failed together do not come back together."""
    ceiling = min(patience.wait_s_max, patience.wait_s * 2.0 ** (number - 1))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret


def _body_of(response: httpx.Response) -> Json:
    body = _json_object(response)
    if response.is_success and body is not None:
        return body
    retry_after = response.headers.get("retry-after", "")
    retry_after_s = float(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else None
    if body is None or "code" not in body:
        # Not from the gateway: the edge in front of it, which may have passed the request on before it failed.
        detail = f"HTTP {response.status_code} without a reason"
        code = BAD_ANSWER if response.status_code < 500 else NO_ANSWER  # noqa: PLR2004 - HTTP's own border
        raise Problem(
            code,
            detail,
            status=response.status_code,
            effect_unknown=True,
            retry_after_s=retry_after_s,
        )
    raise Problem(
        str(body["code"]),
        str(body.get("detail") or body.get("title") or "refused"),
        status=response.status_code,
        effect_unknown=bool(body.get("effectUnknown", False)),
        retry_after_s=retry_after_s,
    )


def _json_object(response: httpx.Response) -> Json | None:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _parsed(read: Callable[[Json], _Parsed], body: Json) -> _Parsed:
    try:
        return read(body)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        detail = f"the gateway's answer lacks something: {error!r}"
        raise Problem(BAD_ANSWER, detail, status=200, effect_unknown=True) from error


@asynccontextmanager
async def open_api(
    credentials: Credentials, *, connections_max: int = 4, patience: Patience | None = None
) -> AsyncIterator[Api]:
    """An Api over TLS that trusts the platform's own CA alone and goes through no proxy."""
    try:
        context = ssl.create_default_context(cafile=str(credentials.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise KitError(
            f"the CA file {credentials.ca_file} cannot be used: {error}",
            "plm stack outputs (write its caBundle into that file)",
            ExitCode.UNFIT_ENVIRONMENT,
        ) from None
    limits = httpx.Limits(
        max_connections=connections_max, max_keepalive_connections=connections_max
    )
    async with httpx.AsyncClient(
        base_url=credentials.api_url,
        headers={"Authorization": f"Bearer {credentials.api_key}"},
        verify=context,
        limits=limits,
        trust_env=False,
    ) as client:
        yield Api(client, patience=patience)
