"""Every refusal as problem+json (RFC 9457): one table from code to status, and the code in the body."""

import http

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from plm.domain.errors import Code, PlmError, Unavailable
from plm.gateway.bodies import ProblemBody

log = structlog.get_logger(__name__)

_CODES: dict[int, tuple[Code, ...]] = {
    400: (
        Code.INVALID_REQUEST,
        Code.INVALID_AMOUNT,
        Code.AMOUNT_TOO_LARGE,
        Code.UNKNOWN_CURRENCY,
        Code.SAME_NODE,
    ),
    401: (Code.UNAUTHENTICATED,),
    403: (Code.FORBIDDEN, Code.NOT_OWNER, Code.DEBUG_DISABLED),
    404: (Code.UNKNOWN_NODE, Code.UNKNOWN_ACCOUNT, Code.UNKNOWN_PAYMENT),
    409: (
        Code.KEY_REUSED,
        Code.POLICY_CHANGED,
        Code.ATTEMPT_CLOSED,
        Code.ATTEMPT_POSTED,
        Code.ATTEMPT_OPEN,
        Code.PAYMENT_ENDED,
        Code.PAYMENT_IN_PROGRESS,
        Code.STALE_GENERATION,
    ),
    422: (
        Code.CURRENCY_MISMATCH,
        Code.ACCOUNT_CLOSED,
        Code.INSUFFICIENT_FUNDS,
        Code.ATTEMPTS_EXHAUSTED,
    ),
    429: (Code.OVERLOADED,),
    500: (Code.INTERNAL,),
    503: (Code.NO_ROUTE, Code.NODE_UNREACHABLE, Code.LEDGER_UNAVAILABLE, Code.NOT_LEADER),
    504: (Code.DEADLINE_EXCEEDED,),
}
_COME_AGAIN = (429, 503)
_RETRY_AFTER_MS = 1_000
STATUS_OF: dict[Code, int] = {code: status for status, codes in _CODES.items() for code in codes}


def problem(
    code: Code, detail: str, *, effect_unknown: bool = False, retry_after_ms: int | None = None
) -> JSONResponse:
    """The response for a code."""
    status = STATUS_OF[code]
    body = ProblemBody(
        type=f"urn:plm:error:{code}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        effectUnknown=effect_unknown,
    )
    headers = {}
    if retry_after_ms is None and status in _COME_AGAIN:
        retry_after_ms = _RETRY_AFTER_MS  # whoever raised it had nothing better to say
    if retry_after_ms is not None:
        headers["Retry-After"] = str(max(1, -(-retry_after_ms // 1000)))
    return JSONResponse(
        body.as_json(), status, headers=headers, media_type="application/problem+json"
    )


async def _plm_error(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Unavailable):
        return problem(
            error.code,
            error.detail,
            effect_unknown=error.effect_unknown,
            retry_after_ms=error.retry_after_ms,
        )
    if isinstance(error, PlmError):
        return problem(error.code, error.detail)
    raise error


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return problem(Code.INVALID_REQUEST, f"{place}: {first['msg']}")


async def _http(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    body = ProblemBody(
        type="about:blank",
        title=http.HTTPStatus(error.status_code).phrase,
        status=error.status_code,
        code=Code.INVALID_REQUEST,
        detail=str(error.detail),
    )
    return JSONResponse(
        body.as_json(),
        error.status_code,
        headers=error.headers,
        media_type="application/problem+json",
    )


async def _internal(request: Request, error: Exception) -> JSONResponse:
    log.error("Failed a request", path=request.url.path, reason=repr(error))
    # Whatever broke, it may have broken after the money moved: the ledger knows, the same key asks it.
    return problem(Code.INTERNAL, "a fault of the gateway's own", effect_unknown=True)


def install(app: FastAPI) -> None:
    """Answer every failure of the app as problem+json."""
    app.add_exception_handler(PlmError, _plm_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)
