"""Certificates are renewed when they are due, in virtual time: a resync is the safety net and not the clock."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from plmop import certificates
from plmop.certificates import Leaf
from plmop.cluster import ClusterError
from plmop.mesh_node.controller import Controller
from support import virtual_time
from support.leaves import new_authority
from support.paper_cluster import PaperCluster
from support.paper_ledger import PaperLedger
from support.stage import ca_secret
from support.troupe import LIFETIME_S, START_S, Troupe

RESYNC_S = 1000.0
SETTLE_S = 150.0
SOON_S = 2.0
NAMES = ("ledger-tls", "edge-tls")


def now_s() -> float:
    return START_S + asyncio.get_running_loop().time()


def tell(
    folder: Path,
    story: Callable[[Troupe, Controller], Coroutine[Any, Any, None]],
    before_write: Callable[[str], None] = lambda _: None,
) -> PaperCluster:
    """Have the story happen while a leader is at work."""
    cluster = PaperCluster()
    cluster.before_write = before_write
    cluster.put(ca_secret(new_authority()))

    async def life() -> None:
        troupe = Troupe(cluster, PaperLedger(), now_s, folder / "tls", resync_s=RESYNC_S)
        controller = Controller(
            troupe.settings, cluster, troupe.mirror, troupe.queue, troupe.trust,
            troupe.registrations, troupe.reconciler,
        )  # fmt: skip
        leading = asyncio.create_task(controller.lead())
        await asyncio.sleep(SOON_S)
        await story(troupe, controller)
        assert not leading.done()
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)

    virtual_time.run(life())
    return cluster


def leaf(troupe: Troupe, name: str) -> Leaf:
    found = troupe.trust.read_leaf(troupe.mirror.get("Secret", name))
    assert found is not None
    return found


def test_a_service_s_certificate_is_renewed_at_two_thirds_of_its_life(tmp_path: Path) -> None:
    async def story(troupe: Troupe, _: Controller) -> None:
        until_s = now_s() + 3 * LIFETIME_S
        while now_s() < until_s:
            for name in NAMES:
                assert now_s() <= leaf(troupe, name).renew_at_s + SOON_S, name
            own = certificates.read_leaf(own_secret(tmp_path), authority_of(troupe))
            assert now_s() <= own.renew_at_s + SOON_S, "the operator's own"
            await asyncio.sleep(10)

    cluster = tell(tmp_path, story)
    for name in NAMES:
        assert cluster.writes.count(f"apply Secret {name}") == 5, "once, and at each two thirds"


def own_secret(folder: Path) -> dict[str, Any]:
    files = {path.name: path.read_text() for path in (folder / "tls" / "..data").iterdir()}
    return {"metadata": {"name": "operator"}, "data": certificates.encode(files)}


def authority_of(troupe: Troupe) -> certificates.Authority:
    assert troupe.trust.authority is not None
    return troupe.trust.authority


def test_a_new_ca_signs_as_soon_as_it_may_and_the_old_one_is_forgotten_in_time(
    tmp_path: Path,
) -> None:
    async def story(troupe: Troupe, controller: Controller) -> None:
        troupe.mirror.saw("Secret", troupe.cluster.put(ca_secret(new_authority())))
        controller.want_trust()
        await asyncio.sleep(SOON_S)
        assert not leaf(troupe, "ledger-tls").is_current
        assert len(authority_of(troupe).trusted) == 2
        await asyncio.sleep(SETTLE_S)
        assert leaf(troupe, "ledger-tls").is_current
        await asyncio.sleep(LIFETIME_S - SETTLE_S)
        assert len(authority_of(troupe).trusted) == 1

    tell(tmp_path, story)


def test_a_service_s_secret_that_cannot_be_written_keeps_nobody_from_leading(
    tmp_path: Path,
) -> None:
    """It is tried again, and what is written meanwhile is all the rest."""

    def refuse(what: str) -> None:
        if what == "apply Secret edge-tls":
            raise ClusterError("applying Secret edge-tls", 422, "field is immutable")

    async def story(troupe: Troupe, _: Controller) -> None:
        assert leaf(troupe, "ledger-tls").is_trusted
        assert troupe.mirror.get("Secret", "edge-tls") is None
        troupe.cluster.before_write = lambda _: None
        await asyncio.sleep(SOON_S)
        assert leaf(troupe, "edge-tls").is_trusted

    tell(tmp_path, story, refuse)


def test_without_a_ca_nothing_is_due(tmp_path: Path) -> None:
    async def life() -> None:
        troupe = Troupe(PaperCluster(), PaperLedger(), now_s, tmp_path / "tls")
        await troupe.start()
        assert troupe.trust.due_in_s() is None

    virtual_time.run(life())
