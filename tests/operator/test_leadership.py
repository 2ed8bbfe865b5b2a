"""Two replicas, one acts: never both, and the other takes over soon. In virtual time."""

import asyncio

import pytest
from plmop.cluster import ClusterError
from plmop.leadership import Leadership
from plmop.settings import LeaseSettings
from support.paper_cluster import PaperCluster
from support.virtual_time import in_virtual_time

FAST = LeaseSettings(duration_s=1, renew_s=0.1, retry_s=0.05)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def candidate(cluster: PaperCluster, name: str) -> Leadership:
    return Leadership(cluster, FAST, name, now_s)


async def within(work: asyncio.Task[None], seconds: float) -> float:
    began = now_s()
    await asyncio.wait_for(work, seconds)
    return now_s() - began


@in_virtual_time
async def test_one_leads_and_the_other_waits() -> None:
    cluster = PaperCluster()
    first, second = candidate(cluster, "first"), candidate(cluster, "second")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.acquire())
    # Longer than the Lease lives without renewal.
    _, pending = await asyncio.wait({keeping, waiting}, timeout=FAST.duration_s * 1.5)
    assert pending == {keeping, waiting}
    assert first.holds()
    assert not second.holds()
    for task in pending:
        task.cancel()


@in_virtual_time
async def test_an_orderly_end_hands_over_at_once() -> None:
    cluster = PaperCluster()
    first, second = candidate(cluster, "first"), candidate(cluster, "second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0)
    await first.release()
    assert not first.holds()
    assert await within(waiting, 1) <= FAST.retry_s
    assert second.holds()


@in_virtual_time
async def test_a_silent_leader_is_followed_after_its_lease_and_never_overlaps() -> None:
    """The old leader stops acting, by its own clock, before the new one may begin."""
    cluster = PaperCluster()
    first, second = candidate(cluster, "first"), candidate(cluster, "second")
    await first.acquire()
    waited_s = await within(asyncio.create_task(second.acquire()), 3)
    assert FAST.duration_s <= waited_s <= FAST.duration_s + FAST.retry_s
    assert not first.holds()
    assert second.holds()
    transitions = cluster.objects["Lease", "plm-operator"]["spec"]["leaseTransitions"]
    assert transitions == 1


@in_virtual_time
async def test_a_leader_that_cannot_renew_stops_by_itself() -> None:
    cluster = PaperCluster()
    leader = candidate(cluster, "first")
    await leader.acquire()

    def refuse(what: str) -> None:
        raise ClusterError(what, 0, "the API server is away")

    cluster.before_write = refuse
    await asyncio.wait_for(leader.keep(), FAST.duration_s)
    assert not leader.holds()


@in_virtual_time
async def test_of_two_that_come_at_once_one_wins() -> None:
    """Both saw a free Lease; the API server lets only one write."""
    cluster = PaperCluster()
    former = candidate(cluster, "former")
    await former.acquire()
    await former.release()
    rivals = [candidate(cluster, f"rival-{number}") for number in range(5)]
    tasks = [asyncio.create_task(rival.acquire()) for rival in rivals]
    await asyncio.wait(tasks, timeout=0.3)
    assert sum(rival.holds() for rival in rivals) == 1
    for task in tasks:
        task.cancel()


@in_virtual_time
async def test_a_restarted_pod_takes_its_own_lease_back_at_once() -> None:
    cluster = PaperCluster()
    await candidate(cluster, "same").acquire()
    assert await within(asyncio.create_task(candidate(cluster, "same").acquire()), 1) == 0


@in_virtual_time
async def test_nobody_releases_what_another_holds() -> None:
    cluster = PaperCluster()
    first, second = candidate(cluster, "first"), candidate(cluster, "second")
    await first.acquire()
    await within(asyncio.create_task(second.acquire()), 3)
    await first.release()
    assert cluster.objects["Lease", "plm-operator"]["spec"]["holderIdentity"] == "second"


@pytest.mark.parametrize("status", [409, 0])
@in_virtual_time
async def test_a_failed_write_of_the_lease_is_no_leadership(status: int) -> None:
    cluster = PaperCluster()
    loser = candidate(cluster, "loser")

    def refuse(what: str) -> None:
        raise ClusterError(what, status, "refused")

    cluster.before_write = refuse
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(loser.acquire(), 0.2)
    assert not loser.holds()
