"""Logs: one JSON object per line on stdout, the sentence under `message`, values as keys, quiet below its level."""

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import structlog
from plm.telemetry import logging
log = structlog.get_logger("early")
logging.configure("node-a", {level!r})
log.debug("Looked", step=1)
log.info("Closed an attempt", payment="pay_1", text="two\\nlines \\u00fc")
try:
    raise ValueError("bad\\nnews")
except ValueError:
    log.exception("Failed a call")
"""


def lines_at(level: str) -> list[dict[str, Any]]:
    """What a process of this level writes: the configuration is the process's, so it needs one of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_event_is_one_line_with_time_level_and_service() -> None:
    info, error = lines_at("info")
    assert info.pop("timestamp").endswith("Z")
    assert info == {
        "service": "node-a",
        "level": "info",
        "message": "Closed an attempt",
        "payment": "pay_1",
        "text": "two\nlines ü",
    }
    assert (error["level"], error["message"]) == ("error", "Failed a call")
    assert "ValueError: bad\nnews" in error["exception"]


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 3), ("DEBUG", 3), ("warning", 1), ("critical", 0)]
)
def test_what_is_below_the_level_is_not_said(level: str, count: int) -> None:
    assert len(lines_at(level)) == count
