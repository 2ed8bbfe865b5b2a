"""A superuser rewrites history in every way, and `plm verify ledger` names the first bad row each time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

# Rows from the middle of the chain on are what the tampering plays with.
_KEEP = "CREATE TABLE untampered AS TABLE entries"
_RESTORE = """
SET synchronous_commit = on;
BEGIN;
DELETE FROM entries;
INSERT INTO entries SELECT * FROM untampered ORDER BY seq;
DROP TABLE untampered;
COMMIT
"""


@contextmanager
def tampered(platform: Platform, statement: str) -> Iterator[None]:
    """The ledger after this statement, and as it was again afterwards."""
    platform.psql(_KEEP)
    try:
        platform.psql(f"SET synchronous_commit = on; {statement}")
        yield
    finally:
        platform.psql(_RESTORE)


def findings(platform: Platform) -> dict[str, Any]:
    """What `plm verify ledger` finds, by kind; its exit code is 1 exactly when it finds something."""
    done = platform.plm("verify", "ledger", "-o", "json")
    verdict = json.loads(done.stdout)
    assert done.returncode == (0 if verdict["ok"] else 1)
    return {found["kind"]: found for found in verdict["findings"]}


@pytest.fixture(scope="module")
def middle(platform: Platform) -> int:
    """A row with neighbours, in a chain whose head is anchored."""
    assert platform.plm("demo").returncode == 0
    wait_until(
        lambda: platform.plm_json("verify", "ledger")["unanchored"] == 0, 30, "all is anchored"
    )
    head = int(platform.psql("SELECT max(seq) FROM entries"))
    assert head > 8
    return head // 2


def test_an_untouched_ledger_has_no_findings(platform: Platform, middle: int) -> None:
    assert findings(platform) == {}


def test_a_changed_row_is_named(platform: Platform, middle: int) -> None:
    change = f"UPDATE entries SET amount = amount + 1 WHERE seq = {middle}"  # noqa: S608 - the test's own text
    with tampered(platform, change):
        assert findings(platform)["altered"]["seq"] == middle
    assert findings(platform) == {}


def test_a_deleted_row_is_a_gap(platform: Platform, middle: int) -> None:
    with tampered(platform, f"DELETE FROM entries WHERE seq = {middle}"):  # noqa: S608 - the test's own text
        assert findings(platform)["gap"]["seq"] in {middle, middle + 1}
    assert findings(platform) == {}


def test_swapped_rows_are_named(platform: Platform, middle: int) -> None:
    swap = (
        f"UPDATE entries SET seq = -1 WHERE seq = {middle};"  # noqa: S608 - the test's own text
        f"UPDATE entries SET seq = {middle} WHERE seq = {middle + 1};"
        f"UPDATE entries SET seq = {middle + 1} WHERE seq = -1"
    )
    with tampered(platform, f"ALTER TABLE entries DROP CONSTRAINT entries_seq_check; {swap}"):
        found = findings(platform)
        assert {each["seq"] for each in found.values()} & {middle, middle + 1}
        assert found.keys() & {"altered", "fork"}
    platform.psql("ALTER TABLE entries ADD CHECK (seq > 0)")
    assert findings(platform) == {}


def test_a_truncated_tail_is_caught_by_the_anchors(platform: Platform, middle: int) -> None:
    """What remains is a valid chain: only a head that was published outside can tell."""
    with tampered(platform, f"DELETE FROM entries WHERE seq > {middle}"):  # noqa: S608 - the test's own text
        assert findings(platform)["truncated"]["seq"] == middle + 1
    assert findings(platform) == {}


def test_a_balance_rewritten_in_place_is_a_mismatch(platform: Platform, middle: int) -> None:
    change = (
        "SET synchronous_commit = on;"
        " UPDATE accounts SET posted = posted {} 1 WHERE account_id = 'link/a/c'"
    )
    platform.psql(change.format("+"))
    try:
        found = findings(platform)
        assert "link/a/c" in found["mismatch"]["detail"]
        assert "unbalanced" in found
    finally:
        platform.psql(change.format("-"))
    assert findings(platform) == {}


def test_the_services_role_may_not_rewrite_history(platform: Platform, middle: int) -> None:
    for statement in ("UPDATE entries SET amount = 1", "DELETE FROM entries"):
        refusal = platform.psql_refusal(f"SET ROLE ledger; {statement}")
        assert "permission denied for table entries" in refusal


def test_a_posting_without_a_durable_commit_is_refused(platform: Platform, middle: int) -> None:
    assert platform.psql("SHOW synchronous_commit").strip() == "off"
    refusal = platform.psql_refusal(
        "SET synchronous_commit = off; INSERT INTO entries SELECT * FROM entries WHERE false"
    )
    assert "a posting needs synchronous_commit = on" in refusal
