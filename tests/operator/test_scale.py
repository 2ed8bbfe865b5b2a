"""Fifty nodes at once: how long until all are Ready, and what the operator weighs then."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stage import Replica, Stage, link, mesh_node
from support.waiting import wait_until

pytestmark = pytest.mark.stores

COUNT = 50
GIVE_UP_S = 300  # no promise: how long it took is told
MEMORY_MIB_MAX = 150


def memory_mib(process_id: int) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the operator has ended")


def test_fifty_nodes_become_ready_soon_and_stay_small(
    stage: Stage, operator: Replica, tell: Callable[[str], None]
) -> None:
    names = [f"n{number:02}" for number in range(COUNT)]
    mesh = [
        mesh_node(name, links=[link(names[(place + step) % COUNT]) for step in (1, 7, 12, 30)])
        for place, name in enumerate(names)
    ]
    began = time.monotonic()
    assert stage.api.apply(*mesh).returncode == 0

    def ready_count() -> int:
        found = json.loads(stage.api.do("get", "meshnodes", "-n", "plm", "-o", "json"))["items"]
        return sum(
            1
            for item in found
            for condition in item.get("status", {}).get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True"
        )

    wait_until(lambda: ready_count() == COUNT, GIVE_UP_S, "all nodes are Ready")
    took_s = time.monotonic() - began
    assert operator.process is not None
    weight_mib = memory_mib(operator.process.pid)
    tell(f"{COUNT} nodes Ready after {took_s:.1f} s, operator weighs {weight_mib:.0f} MiB")
    assert weight_mib < MEMORY_MIB_MAX
