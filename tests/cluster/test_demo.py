"""The demo, ten times in a row: killed while it holds the money, caught, settled once over the other route."""

from collections.abc import Callable

import pytest
from support.platform import Platform

pytestmark = pytest.mark.cluster

TIMES = 10


def test_the_demo_holds_ten_times_in_a_row(platform: Platform, tell: Callable[[str], None]) -> None:
    reports = platform.plm_json("demo", "--times", str(TIMES))
    assert len(reports) == TIMES
    for report in reports:
        assert report["faults"] == []
        assert report["cheapestRoute"] == ["a", "b", "d"]
        assert report["how"] == "SIGKILL of the container's task"
        assert report["payment"]["route"] == ["a", "c", "d"]
        assert [attempt["state"] for attempt in report["payment"]["attempts"]] == [
            "closed",
            "posted",
        ]
        assert {entry["kind"] for entry in report["entries"]} == {"hold", "post", "void"}
        assert report["verdict"]["ok"]
    for name in ("reached", "killed", "caught", "settled", "ready_again"):
        figures = sorted(report["timesMs"][name] for report in reports)
        tell(f"demo: {name:<12} median {figures[TIMES // 2]:7.0f} ms, worst {figures[-1]:7.0f} ms")
