"""What kopf is told to do: watch, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from kopf._core.intents.registries import get_default_registry
from plmop.actions import ObjectKey
from plmop.canary import Canary
from plmop.mesh_node import handlers
from plmop.mesh_node.handlers import Watcher, build_registry, watch_settings
from plmop.mesh_node.manifests import Owner, owner_name
from plmop.mirror import Mirror
from plmop.queue import WorkQueue


def make_watcher(told: list[str]) -> Watcher:
    canary = Canary(lambda: 0.0, 90)
    return Watcher("plm", Mirror(), WorkQueue(), canary, lambda: told.append("secret"))


def test_the_registry_holds_event_handlers_only_each_with_group_and_version() -> None:
    """Timers, daemons and change handlers would put a finalizer on what they watch; a bare plural scans every API."""
    registry = build_registry(make_watcher([]))
    watching = list(registry._watching.get_all_handlers())
    assert len(watching) == 5
    for handler in watching:
        selector = handler.selector
        assert selector is not None
        assert selector.group is not None
        assert selector.version is not None
        assert selector.any_name is not None
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(others.get_all_handlers()) == []


def test_kopf_posts_nothing_and_scans_nothing() -> None:
    settings = watch_settings()
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert settings.persistence.finalizer.startswith("plm.dev/")


def test_handlers_decide_nothing() -> None:
    """They import neither the plan nor anything that writes."""
    text = Path(handlers.__file__).read_text()
    for forbidden in ("plmop.cluster", "mesh_node.plan", "registrations", "trust"):
        assert forbidden not in text


def event(kind: str | None, name: str, number: int) -> dict[str, Any]:
    metadata = {"name": name, "resourceVersion": str(number)}
    return {"type": kind, "object": {"metadata": metadata}}


async def test_a_child_wakes_its_owner_even_without_labels_and_only_once() -> None:
    watcher = make_watcher([])
    await watcher.deployment_changed(event=event("MODIFIED", "node-a", 5))
    assert await watcher.queue.take() == ObjectKey("plm", "a")
    watcher.queue.done(ObjectKey("plm", "a"))
    await watcher.deployment_changed(event=event("MODIFIED", "node-a", 5))
    assert watcher.queue.depth == 0, "a repeated event is no news"
    await watcher.deployment_changed(event=event("DELETED", "node-a", 6))
    assert watcher.queue.depth == 1


async def test_a_secret_of_no_node_wakes_the_trust_keeper() -> None:
    told: list[str] = []
    watcher = make_watcher(told)
    await watcher.secret_changed(event=event(None, "plm-ca", 1))
    await watcher.secret_changed(event=event(None, "node-a-tls", 2))
    await watcher.service_changed(event=event(None, "ledger", 3))
    assert told == ["secret"]
    assert watcher.queue.depth == 1


@pytest.mark.parametrize("name", ["a", "n01", "tls", "node", "a-tls"])
def test_names_of_children_lead_back_to_their_owner(name: str) -> None:
    owner = Owner(name, "uid")
    assert owner_name("Deployment", owner.child) == name
    assert owner_name("Service", owner.child) == name
    assert owner_name("Secret", owner.secret) == name
    assert owner_name("Deployment", "ledger") == ""
    assert owner_name("Secret", "ledger-tls") == ""


def test_the_canary_dies_of_silence() -> None:
    now = [0.0]
    canary = Canary(lambda: now[0], 90)
    now[0] = 89
    assert canary.problem() == ""
    now[0] = 91
    assert "91 s" in canary.problem()
    canary.heard()
    assert canary.problem() == ""


def test_importing_the_operator_registers_nothing() -> None:
    """kopf's global registry stays empty: whoever imports a module starts nothing."""
    assert list(get_default_registry()._watching.get_all_handlers()) == []
