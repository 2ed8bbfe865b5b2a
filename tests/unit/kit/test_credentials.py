"""Credentials that no request could be made with are told as such, before one is made."""

import json
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.credentials import load_credentials

GOOD: dict[str, Any] = {"apiUrl": "https://[::1]:30443", "apiKey": "k-1", "caFile": "/ca.crt"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"apiUrl": "http://192.0.2.7:30443"},  # the key would be read on its way
        {"apiUrl": "192.0.2.7:30443"},
        {"apiUrl": "https://"},
        {"apiUrl": "https://[::1"},
        {"apiUrl": "https://edge:99999"},
        {"apiUrl": "https://edge:port"},
        {"apiUrl": ""},
        {"apiUrl": 7},
        {"apiKey": "schl\u00fcssel"},
        {"apiKey": ""},
        {"apiKey": "two\nlines"},
        {"apiKey": None},
        {"caFile": "a\0b"},
        {"caFile": ["/ca.crt"]},
    ],
    ids=str,
)
def test_what_no_request_could_be_made_with_is_refused(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(GOOD | wrong))
    with pytest.raises(KitError, match="cannot be read") as told:
        load_credentials(path, "plm up")
    assert told.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
    assert told.value.cure == "plm up (it makes a new key)"


def test_a_line_feed_at_the_end_of_a_value_is_no_part_of_it(tmp_path: Path) -> None:
    """Whoever writes the key into the file with a shell has one there."""
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(GOOD | {"apiKey": "k-1\n"}))
    found = load_credentials(path)
    assert (found.api_url, found.api_key, str(found.ca_file)) == tuple(GOOD.values())
