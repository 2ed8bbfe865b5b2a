"""`plm verify ledger` says what was compared, and what was not."""

from typing import Any

import pytest
from plmkit.commands.verify import lines_of
from plmkit.receipts import Verdict

SOUND: dict[str, Any] = {
    "ok": True,
    "entries": 9,
    "headSeq": 9,
    "headHash": "ab" * 32,
    "anchoredSeq": 7,
    "unanchored": 2,
    "findings": [],
    "sums": {"USD": "0.00"},
    "elapsedMs": 3,
}


@pytest.mark.parametrize("told", [SOUND, {**SOUND, "anchorsUnread": ""}])
def test_what_lies_behind_the_last_anchor_is_counted(told: dict[str, Any]) -> None:
    """Also by a gateway that does not know the newer field."""
    text = "\n".join(lines_of(Verdict.read(told)))
    assert "ledger verified" in text
    assert "anchored    7 (2 behind it not anchored yet)" in text


def test_anchors_that_could_not_be_read_are_said_to_be() -> None:
    """The rows are judged all the same, and nobody takes that for the whole proof."""
    told = {**SOUND, "anchoredSeq": 0, "unanchored": 9, "anchorsUnread": "NATS: no answer"}
    text = "\n".join(lines_of(Verdict.read(told)))
    assert "anchored    not read: NATS: no answer" in text
    assert "would not be seen" in text
    assert text.startswith("rows verified, anchors not read")
    assert "behind it" not in text


def test_what_is_no_anchor_takes_nothing_from_the_anchors_beside_it() -> None:
    """How many were none is said, and that the others were compared: a cut-off tail would be seen."""
    told = {**SOUND, "anchorsUnread": "3 of 12 messages in anchors are no anchors"}
    text = "\n".join(lines_of(Verdict.read(told)))
    assert text.startswith("ledger verified")
    assert (
        "anchored    7 (2 behind it not anchored yet); "
        "3 of 12 messages in anchors are no anchors, all the others were compared\n"
    ) in text
    assert "not read" not in text
    assert "would not be seen" not in text


def test_where_no_message_is_an_anchor_none_was_read() -> None:
    unread = "3 of 3 messages in anchors are no anchors"
    told = {**SOUND, "anchoredSeq": 0, "unanchored": 9, "anchorsUnread": unread}
    text = "\n".join(lines_of(Verdict.read(told)))
    assert text.startswith("rows verified, anchors not read")
    assert f"anchored    not read: {unread}. A tail that was cut off would not be seen" in text


def test_a_finding_is_named_with_its_row() -> None:
    finding = {"kind": "altered", "seq": 5, "detail": "the row does not match its hash"}
    text = "\n".join(lines_of(Verdict.read({**SOUND, "ok": False, "findings": [finding]})))
    assert "LEDGER BROKEN" in text
    assert "altered     5  the row does not match its hash" in text
