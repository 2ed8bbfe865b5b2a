"""Codes and their HTTP status: none is missing, families keep to their statuses, and a pause is always said."""

import json

import pytest
from fastapi.responses import JSONResponse
from plm.domain.errors import Code, Conflict, Refused
from plm.gateway.problems import STATUS_OF, problem
from plm.transport.errors import error_of


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_status_of_its_family(code: Code) -> None:
    error, status = error_of(code, "why"), STATUS_OF[code]
    if isinstance(error, Refused):
        assert status in {400, 401, 403, 404, 422}
    elif isinstance(error, Conflict):
        assert status == 409
    else:
        assert status in {429, 500, 503, 504}


@pytest.mark.parametrize("code", list(Code))
def test_the_body_carries_the_code_and_its_status(code: Code) -> None:
    response: JSONResponse = problem(code, "why", effect_unknown=True)
    body = json.loads(bytes(response.body))
    assert response.media_type == "application/problem+json"
    assert body["type"] == f"urn:plm:error:{code}"
    assert (body["status"], body["code"], body["detail"]) == (response.status_code, code, "why")
    assert body["effectUnknown"] is True


@pytest.mark.parametrize("code", list(Code))
def test_who_is_told_to_come_again_is_told_when(code: Code) -> None:
    response = problem(code, "why")
    assert ("Retry-After" in response.headers) == (response.status_code in {429, 503})


@pytest.mark.parametrize(
    ("pause_ms", "seconds"), [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (2500, "3")]
)
def test_a_pause_is_rounded_up_to_whole_seconds(pause_ms: int, seconds: str) -> None:
    """HTTP knows no shorter unit, and nobody must come too early."""
    response = problem(Code.OVERLOADED, "why", retry_after_ms=pause_ms)
    assert response.headers["Retry-After"] == seconds
