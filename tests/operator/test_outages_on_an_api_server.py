"""The API server goes deaf, or dies and comes back: the operator notices, acts on nothing meanwhile, and goes on."""

import signal
from collections.abc import Callable, Iterator

import httpx
import pytest
from support.stage import Replica, Stage, link, make_ready, mesh_node
from support.waiting import wait_until

pytestmark = pytest.mark.stores

SILENCE_S = 4


@pytest.fixture
def operator(stage: Stage) -> Iterator[Replica]:
    replica = stage.operator(PLM_WATCH_SILENCE_S_MAX=SILENCE_S)
    replica.start()
    replica.wait_ready()
    make_ready(stage, mesh_node("a"))
    yield replica
    stage.api.signal(signal.SIGCONT)
    replica.stop()
    stage.clear()


def is_live(operator: Replica) -> bool:
    url = f"http://127.0.0.1:{operator.http_port}/livez"
    return httpx.get(url, trust_env=False, timeout=5).is_success


def test_liveness_fails_when_the_watches_bring_nothing_any_more(
    stage: Stage, operator: Replica
) -> None:
    """A process whose streams are dead looks alive from outside; the canary tells."""
    assert is_live(operator)
    stage.api.signal(signal.SIGSTOP)
    wait_until(lambda: not is_live(operator), SILENCE_S * 4, "liveness fails")
    wait_until(lambda: "plm_operator_leader 0.0" in operator.metrics(), 15, "it leads no more")
    stage.api.signal(signal.SIGCONT)
    wait_until(lambda: is_live(operator), 30, "it is alive again")
    make_ready(stage, mesh_node("b"), within_s=30)


def test_it_goes_on_after_the_api_server_was_killed(
    stage: Stage, operator: Replica, tell: Callable[[str], None]
) -> None:
    """As a process, or as the next one that kubelet would start."""
    stage.api.restart()
    survivor = operator
    if not _stays(operator):
        survivor = stage.operator()
        survivor.start()
    make_ready(stage, mesh_node("c", links=[link("a")]), within_s=45)
    stage.api.do("delete", "service", "node-c", "-n", "plm")
    wait_until(lambda: stage.api.get("service", "node-c") is not None, 10, "the Service is back")
    tell(
        f"API server killed: the operator {'went on' if survivor is operator else 'was started anew'}"
    )
    if survivor is not operator:
        survivor.stop()


def _stays(operator: Replica) -> bool:
    assert operator.process is not None
    return operator.process.poll() is None
