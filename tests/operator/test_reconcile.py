"""One reconcile after the other, on a cluster and a ledger kept in memory."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest
from plmop.mesh_node.reconcile import NotServingError
from support.leaves import new_authority
from support.paper_cluster import Died, PaperCluster
from support.paper_ledger import PaperLedger
from support.stage import ca_secret, link, mesh_node
from support.troupe import Clock, Troupe, make_available

CHILDREN = (("Deployment", "node-a"), ("Service", "node-a"), ("Secret", "node-a-tls"))


class World:
    """Cluster, ledger and clock, which outlive an operator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = PaperCluster()
        self.ledger = PaperLedger()
        self.clock = Clock()
        self.cluster.put(ca_secret(new_authority()))

    async def operator(self) -> Troupe:
        troupe = Troupe(self.cluster, self.ledger, self.clock, self.folder / "tls")
        await troupe.start()
        return troupe


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def bring_up(world: World, troupe: Troupe, *names: str) -> None:
    for name in names:
        await troupe.reconcile(name)
        make_available(world.cluster, name)
    for name in names:
        await troupe.reconcile(name)


async def test_a_node_becomes_ready_step_by_step(world: World) -> None:
    """Children first, then the pod, then health; each step says what it waits for."""
    world.cluster.put(mesh_node("a"))
    troupe = await world.operator()
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("False", "WaitingForPod")
    assert all(place in world.cluster.objects for place in CHILDREN)
    make_available(world.cluster, "a")
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("True", "Ready")
    assert world.ledger.books.nodes["a"].enabled
    assert [event["reason"] for event in world.cluster.events] == ["WaitingForPod", "Ready"]


async def test_a_reconcile_of_what_is_ready_writes_nothing(world: World) -> None:
    world.cluster.put(mesh_node("a"))
    troupe = await world.operator()
    await bring_up(world, troupe, "a")
    written = len(world.cluster.writes)
    await troupe.reconcile("a")
    assert world.cluster.writes[written:] == []


async def test_a_link_waits_for_its_peer_and_is_registered_when_it_comes(world: World) -> None:
    world.cluster.put(mesh_node("a", links=[link("b", "10.00")]))
    troupe = await world.operator()
    await bring_up(world, troupe, "a")
    assert troupe.ready("a") == ("False", "WaitingForPeer")
    assert "b" in troupe.status("a")["conditions"][0]["message"]
    world.cluster.put(mesh_node("b"))
    await bring_up(world, troupe, "b")
    # The peer's registration put the waiting node back into the queue.
    assert (await asyncio.wait_for(troupe.queue.take(), 1)).name == "a"
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("True", "Ready")
    assert troupe.status("a")["liquidity"] == "10.00 USD"


async def test_a_withdrawal_that_is_not_covered_shows_and_heals(world: World) -> None:
    """Degraded, InsufficientFunds; a corrected spec is picked up."""
    world.cluster.put(mesh_node("a", links=[link("b", "10.00")]))
    world.cluster.put(mesh_node("b"))
    troupe = await world.operator()
    await bring_up(world, troupe, "b", "a")
    assert troupe.ready("a") == ("True", "Ready")
    world.ledger.books.accounts["link/a/b"].held = 600
    world.cluster.put(mesh_node("a", links=[link("b", "1.00")]))
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("False", "InsufficientFunds")
    assert troupe.status("a")["phase"] == "Degraded"
    calls = len(world.ledger.calls)
    await troupe.reconcile("a")
    assert world.ledger.calls[calls:] == [], "a refusal is not asked again before the next resync"
    world.cluster.put(mesh_node("a", links=[link("b", "10.00")]))
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("True", "Ready")


async def test_a_paused_node_is_left_alone(world: World) -> None:
    """Nothing is made, nothing is repaired, and its conditions say so."""
    world.cluster.put(mesh_node("a", paused=True))
    troupe = await world.operator()
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("Unknown", "Paused")
    assert not any(place in world.cluster.objects for place in CHILDREN)
    world.cluster.put(mesh_node("a"))
    await bring_up(world, troupe, "a")
    world.cluster.put(mesh_node("a", paused=True))
    del world.cluster.objects["Service", "node-a"]
    await troupe.reconcile("a")
    assert ("Service", "node-a") not in world.cluster.objects
    assert troupe.ready("a") == ("Unknown", "Paused")


async def test_a_spec_that_makes_no_sense_is_said_and_a_corrected_one_is_seen(
    world: World,
) -> None:
    """The schema refuses it today; a schema can be changed by hand, and an operator must not fall over that."""
    world.cluster.put(mesh_node("a", links=[link("a")]))
    troupe = await world.operator()
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("False", "InvalidSpec")
    stalled = next(each for each in troupe.status("a")["conditions"] if each["type"] == "Stalled")
    assert stalled["status"] == "True"
    world.cluster.put(mesh_node("a"))
    await bring_up(world, troupe, "a")
    assert troupe.ready("a") == ("True", "Ready")


async def test_what_others_made_under_a_child_s_name_stays_and_the_node_says_so(
    world: World,
) -> None:
    """A Deployment and a Secret that were there before the node: it waits until somebody has decided."""
    in_the_way = [
        world.cluster.put({"kind": kind, "metadata": {"name": name}, **more})
        for kind, name, more in (
            ("Deployment", "node-exporter", {"spec": {"selector": {"matchLabels": {"app": "x"}}}}),
            ("Secret", "node-exporter-tls", {"type": "Opaque", "data": {"key": "c2VjcmV0"}}),
        )
    ]
    before = copy.deepcopy(in_the_way)
    world.cluster.put(mesh_node("exporter"))
    troupe = await world.operator()
    written = len(world.cluster.writes)
    await troupe.reconcile("exporter")
    assert world.cluster.writes[written:] == ["status MeshNode exporter"]
    assert in_the_way == before
    assert "exporter" not in world.ledger.books.nodes
    assert troupe.ready("exporter") == ("False", "NameTaken")
    stalled = {each["type"]: each for each in troupe.status("exporter")["conditions"]}["Stalled"]
    assert stalled["status"] == "True"
    assert "Deployment node-exporter, Secret node-exporter-tls" in stalled["message"]
    [event] = world.cluster.events
    assert (event["type"], event["reason"]) == ("Warning", "NameTaken")
    for found in in_the_way:
        del world.cluster.objects[found["kind"], found["metadata"]["name"]]
    await bring_up(world, troupe, "exporter")
    assert troupe.ready("exporter") == ("True", "Ready")


async def test_a_node_whose_object_is_gone_is_disabled_and_keeps_its_money(world: World) -> None:
    world.cluster.put(mesh_node("a", links=[link("b", "10.00")]))
    world.cluster.put(mesh_node("b"))
    troupe = await world.operator()
    await bring_up(world, troupe, "b", "a")
    del world.cluster.objects["MeshNode", "a"]
    await troupe.reconcile("a")
    assert not world.ledger.books.nodes["a"].enabled
    assert world.ledger.books.accounts["link/a/b"].posted == 1000


async def test_a_node_that_does_not_serve_is_not_ready_and_asked_again(world: World) -> None:
    world.cluster.put(mesh_node("a"))
    troupe = await world.operator()
    await troupe.reconcile("a")
    make_available(world.cluster, "a")
    troupe.is_serving = False
    with pytest.raises(NotServingError):
        await troupe.reconcile("a")
    assert troupe.ready("a") == ("False", "WaitingForHealth")
    troupe.is_serving = True
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("True", "Ready")


async def test_health_is_asked_once_per_pod_and_again_when_doubted(world: World) -> None:
    world.cluster.put(mesh_node("a"))
    troupe = await world.operator()
    await bring_up(world, troupe, "a")
    await troupe.reconcile("a")
    assert len(troupe.questions) == 1
    troupe.reconciler.doubt_health()
    await troupe.reconcile("a")
    assert len(troupe.questions) == 2


async def test_one_unanswered_question_is_no_verdict_but_two_are(world: World) -> None:
    """A node that serves and is slow to say so once, on a busy machine, does not flap."""
    world.cluster.put(mesh_node("a"))
    troupe = await world.operator()
    await bring_up(world, troupe, "a")
    troupe.is_serving = False
    troupe.reconciler.doubt_health()
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("True", "Ready")
    with pytest.raises(NotServingError):
        await troupe.reconcile("a")
    assert troupe.ready("a") == ("False", "WaitingForHealth")
    troupe.is_serving = True
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("True", "Ready")
    troupe.is_serving = False
    troupe.reconciler.doubt_health()
    await troupe.reconcile("a")
    assert troupe.ready("a") == ("True", "Ready"), "and the count begins anew"


async def _whole_life(world: World) -> None:
    troupe = await world.operator()
    for name in ("a", "b"):
        await troupe.reconcile(name)
        make_available(world.cluster, name)
    for name in ("b", "a", "b"):
        await troupe.reconcile(name)


def _essence(world: World) -> dict[Any, Any]:
    """Everything that must be equal whatever happened on the way: not keys, not versions, not times."""
    volatile = {"uid", "resourceVersion", "ownerReferences", "annotations"}
    essence = {}
    for place, found in world.cluster.objects.items():
        plain = copy.deepcopy(found)
        plain["metadata"] = {k: v for k, v in plain["metadata"].items() if k not in volatile}
        plain.pop("data", None)
        for condition in plain.get("status", {}).get("conditions", ()):
            condition.pop("lastTransitionTime", None)
        essence[place] = plain
    posted = {name: account.posted for name, account in world.ledger.books.accounts.items()}
    return {"objects": essence, "money": posted}


def _new_world(folder: Path) -> World:
    world = World(folder)
    world.cluster.put(mesh_node("a", links=[link("b", "10.00")]))
    world.cluster.put(mesh_node("b"))
    return world


@pytest.mark.parametrize("moment", ["before_write", "after_write"])
async def test_a_crash_at_any_write_changes_nothing_in_the_end(tmp_path: Path, moment: str) -> None:
    """The operator dies before or after each of its writes; its next life ends where an undisturbed one does."""
    undisturbed = _new_world(tmp_path / "undisturbed")
    await _whole_life(undisturbed)
    count = len(undisturbed.cluster.writes) + len(undisturbed.cluster.events)
    assert count > 10
    for fatal in range(count):
        world = _new_world(tmp_path / str(fatal))
        left = [fatal]

        def die(what: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise Died(what)

        setattr(world.cluster, moment, die)
        with pytest.raises(Died):
            await _whole_life(world)
        await _whole_life(world)
        assert _essence(world) == _essence(undisturbed), f"died {moment} {fatal}"
