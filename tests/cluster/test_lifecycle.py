"""Down keeps the ledger, up brings it back; a half-dead cluster is revived without loss."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from plmkit.localcluster import processes
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

READY_S = 120
DAEMONS_TO_KILL = ("kube-apiserver", "kubelet", "etcd")


def head(platform: Platform) -> tuple[int, str]:
    verdict = platform.plm_json("verify", "ledger")
    assert verdict["ok"]
    return verdict["headSeq"], verdict["headHash"]


def settles(platform: Platform, key: str) -> None:
    paid = platform.plm_json("pay", "A", "D", "1.00", "USD", "--key", key)
    assert paid["state"] == "settled"


def test_down_keeps_the_ledger_and_up_brings_it_back(
    platform: Platform, tell: Callable[[str], None]
) -> None:
    settles(platform, "before-down")
    before = head(platform)
    stopped = platform.plm_json("down")
    again = platform.plm_json("up")
    tell(f"plm down {stopped['seconds']} s; plm up on kept data {again['seconds']}")
    wait_until(platform.all_nodes_ready, READY_S, "all nodes are Ready")
    assert head(platform) == before
    settles(platform, "before-down")
    assert head(platform) == before
    settles(platform, "after-up")


def test_up_revives_a_half_dead_cluster(platform: Platform, tell: Callable[[str], None]) -> None:
    """SIGKILL of the daemons that everything else needs; pods go on meanwhile."""
    settles(platform, "before-kill")
    before = head(platform)
    for name in DAEMONS_TO_KILL:
        record = processes.read_record(platform.cluster.layout.record(name))
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
    began = time.monotonic()
    again = platform.plm("up")
    assert again.returncode == 0, again.stderr
    tell(f"plm up on a half-dead cluster: {time.monotonic() - began:.1f} s")
    wait_until(platform.all_nodes_ready, READY_S, "all nodes are Ready")
    assert head(platform) == before
    settles(platform, "after-kill")
