"""PlmError over gRPC, both ways: the status tells a generic client the family, the metadata tells ours everything."""

import re
from collections.abc import Iterable
from typing import Any, cast

import grpc

from plm.domain.errors import Code, Conflict, PlmError, Refused, Unavailable
from plm.domain.forms import note

CODE_KEY = "plm-code"
EFFECT_UNKNOWN_KEY = "plm-effect-unknown"
RETRY_AFTER_KEY = "plm-retry-after-ms"

# A status that outgrows HTTP/2's limit for headers (8 KiB, up to 12 bytes a character) is lost, and its code with it.
_DETAIL_LENGTH_MAX = 500
_RETRY_AFTER = re.compile(r"[0-9]{1,9}", re.ASCII)

_STATUS: dict[grpc.StatusCode, tuple[Code, ...]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (
        Code.INVALID_REQUEST,
        Code.INVALID_AMOUNT,
        Code.AMOUNT_TOO_LARGE,
        Code.UNKNOWN_CURRENCY,
        Code.SAME_NODE,
    ),
    grpc.StatusCode.NOT_FOUND: (Code.UNKNOWN_NODE, Code.UNKNOWN_ACCOUNT, Code.UNKNOWN_PAYMENT),
    grpc.StatusCode.FAILED_PRECONDITION: (
        Code.CURRENCY_MISMATCH,
        Code.ACCOUNT_CLOSED,
        Code.INSUFFICIENT_FUNDS,
        Code.ATTEMPTS_EXHAUSTED,
        Code.DEBUG_DISABLED,
    ),
    grpc.StatusCode.UNAUTHENTICATED: (Code.UNAUTHENTICATED,),
    grpc.StatusCode.PERMISSION_DENIED: (Code.FORBIDDEN, Code.NOT_OWNER),
    grpc.StatusCode.ALREADY_EXISTS: (Code.KEY_REUSED,),
    grpc.StatusCode.ABORTED: (
        Code.POLICY_CHANGED,
        Code.ATTEMPT_CLOSED,
        Code.ATTEMPT_POSTED,
        Code.ATTEMPT_OPEN,
        Code.PAYMENT_ENDED,
        Code.PAYMENT_IN_PROGRESS,
        Code.STALE_GENERATION,
    ),
    grpc.StatusCode.UNAVAILABLE: (
        Code.NO_ROUTE,
        Code.NODE_UNREACHABLE,
        Code.LEDGER_UNAVAILABLE,
        Code.NOT_LEADER,
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Code.OVERLOADED,),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Code.DEADLINE_EXCEEDED,),
    grpc.StatusCode.INTERNAL: (Code.INTERNAL,),
}
STATUS_OF: dict[Code, grpc.StatusCode] = {
    code: status for status, codes in _STATUS.items() for code in codes
}
_CONFLICTS = {grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.ABORTED}
_UNAVAILABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
}


def error_of(
    code: Code, detail: str, *, effect_unknown: bool = False, retry_after_ms: int | None = None
) -> PlmError:
    """The error of a code, in the family that its status belongs to."""
    status = STATUS_OF[code]
    if status in _CONFLICTS:
        return Conflict(code, detail)
    if status in _UNAVAILABLE:
        return Unavailable(
            code, detail, effect_unknown=effect_unknown, retry_after_ms=retry_after_ms
        )
    return Refused(code, detail)


def metadata_of(error: PlmError) -> tuple[tuple[str, str], ...]:
    """Trailing metadata that carries an error whole."""
    pairs = [(CODE_KEY, str(error.code))]
    if isinstance(error, Unavailable):
        if error.effect_unknown:
            pairs.append((EFFECT_UNKNOWN_KEY, "true"))
        if error.retry_after_ms is not None:
            pairs.append((RETRY_AFTER_KEY, str(error.retry_after_ms)))
    return tuple(pairs)


async def abort(context: "grpc.aio.ServicerContext[Any, Any]", error: PlmError) -> None:
    """End a call with an error. Does not return: gRPC raises."""
    detail = error.detail[:_DETAIL_LENGTH_MAX]
    await context.abort(STATUS_OF[error.code], detail, trailing_metadata=metadata_of(error))


def from_rpc(error: grpc.aio.AioRpcError, unreachable: Code) -> PlmError:
    """What a failed call means. Without our metadata the peer never answered: its effect is unknown.

    `unreachable` names the silent peer: ledger_unavailable or node_unreachable.
    """
    found = _metadata(error)
    detail = note(error.details() or str(error.code()))
    if found.get(CODE_KEY) in set(Code):
        retry_after = found.get(RETRY_AFTER_KEY, "")
        return error_of(
            Code(found[CODE_KEY]),
            detail,
            effect_unknown=found.get(EFFECT_UNKNOWN_KEY) == "true",
            retry_after_ms=int(retry_after) if _RETRY_AFTER.fullmatch(retry_after) else None,
        )
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable(Code.DEADLINE_EXCEEDED, detail, effect_unknown=True)
    return Unavailable(unreachable, detail, effect_unknown=True)


def _metadata(error: grpc.aio.AioRpcError) -> dict[str, str]:
    pairs = cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ())
    return {key: value for key, value in pairs if isinstance(value, str)}
