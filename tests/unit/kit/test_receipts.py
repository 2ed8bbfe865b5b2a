"""Orders and receipts: what plm takes for an idempotency key is what the gateway's description takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plmkit.receipts import KEY_LENGTH_MAX, is_key

DESCRIPTION = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


def schema_of_keys() -> dict[str, Any]:
    """As docs/openapi.json has it."""
    parameters = json.loads(DESCRIPTION.read_text())["paths"]["/v1/payments"]["post"]["parameters"]
    [found] = [each["schema"] for each in parameters if each["name"] == "Idempotency-Key"]
    return dict(found)


SCHEMA = schema_of_keys()


def gateway_takes(text: str) -> bool:
    # In JSON Schema `$` means the very end; in Python also a place before the last line feed.
    fits = re.fullmatch(SCHEMA["pattern"].removesuffix("$"), text)
    return fits is not None and SCHEMA["minLength"] <= len(text) <= SCHEMA["maxLength"]


@given(st.text(max_size=3))
def test_a_key_is_what_the_gateway_takes_for_one(text: str) -> None:
    assert is_key(text) == gateway_takes(text)


def test_each_character_is_judged_as_the_gateway_judges_it() -> None:
    characters = [chr(code) for code in range(256)]
    assert [each for each in characters if is_key(each) != gateway_takes(each)] == []


@pytest.mark.parametrize("length", [0, 1, KEY_LENGTH_MAX, KEY_LENGTH_MAX + 1])
def test_so_is_the_length(length: int) -> None:
    assert is_key("k" * length) == gateway_takes("k" * length)
