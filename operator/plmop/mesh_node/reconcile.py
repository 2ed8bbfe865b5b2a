"""One reconcile of a MeshNode: observe, plan, carry out, again until nothing is left; then say how it stands."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from plm.domain.errors import PlmError

from plmop import conditions
from plmop.actions import (
    Action,
    Apply,
    AskHealth,
    Delete,
    Issue,
    Manifest,
    ObjectKey,
    RegisterLink,
    RegisterNode,
)
from plmop.cluster import Cluster, ClusterError
from plmop.mesh_node import manifests
from plmop.mesh_node.manifests import Frame, Owner
from plmop.mesh_node.plan import CertificateFacts, Health, LedgerFacts, Observed, plan
from plmop.mesh_node.spec import KIND, InvalidSpec, MeshNodeSpec, read_spec
from plmop.mesh_node.status import judge, status_of
from plmop.mirror import Mirror
from plmop.queue import WorkQueue
from plmop.registrations import Registrations
from plmop.trust import TrustKeeper

log = structlog.get_logger(__name__)

# Children, node, links, health, and links again as peers turn up: far fewer than this.
_ROUNDS_MAX = 50
_ASK_AGAIN_S = 1.0

Ask = Callable[[AskHealth], Awaitable[Health]]


class FoughtError(Exception):
    """What was applied did not stay applied."""


class NotServingError(Exception):
    """A node that should serve does not, or not yet."""


@dataclass
class Reconciler:
    """Brings MeshNodes in line, one key at a time."""

    cluster: Cluster
    mirror: Mirror
    trust: TrustKeeper
    registrations: Registrations
    queue: WorkQueue[ObjectKey]
    frame: Frame
    ask: Ask
    clock: Callable[[], float] = time.time
    _health: dict[str, Health] = field(default_factory=dict)
    _doubted: set[str] = field(default_factory=set)
    _silent_once: set[str] = field(default_factory=set)

    def doubt_health(self) -> None:
        """Have every node asked again for its health, in its own next reconcile. Until then the last answer counts."""
        self._doubted = set(self._health)

    def _forget_doubtful_health(self, name: str) -> Health | None:
        """Have it asked again where that is due. Returns the answer that is in doubt, if it was a good one."""
        known = self._health.get(name)
        is_doubted = name in self._doubted
        self._doubted.discard(name)
        if known is None or (known.is_serving and not is_doubted):
            return None
        del self._health[name]
        return known if known.is_serving else None

    def _is_mere_silence(self, key: ObjectKey, former: Health | None) -> bool:
        """Whether a node that served so far has failed to say so only once: on a busy machine that is no verdict."""
        answer = self._health.get(key.name)
        if former is None or answer is None or answer.incarnation != former.incarnation:
            return False
        if answer.is_serving or key.name in self._silent_once:
            self._silent_once.discard(key.name)
            return False
        self._silent_once.add(key.name)
        return True

    async def reconcile(self, key: ObjectKey) -> None:
        """Bring one MeshNode in line. Raises what is to be tried again."""
        found = self.mirror.get(KIND, key.name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            await self._bury(key)
            return
        former = self._forget_doubtful_health(key.name)
        spec = read_spec(key.name, found.get("spec"))
        failure: Exception | None = None
        try:
            await self._act(key, found, spec)
        except (ClusterError, PlmError, FoughtError) as error:
            failure = error
        if former is not None and self._is_mere_silence(key, former):
            self._health[key.name] = former
            self._doubted.add(key.name)
            self.queue.add_after(key, _ASK_AGAIN_S)
        observed = self._observe(key, found)
        await self._say(key, spec, observed, str(failure) if failure else "")
        if failure is not None:
            raise failure
        health = self._health.get(key.name)
        if observed.incarnation and health is not None and not health.is_serving:
            raise NotServingError(health.problem)

    async def _act(self, key: ObjectKey, found: Manifest, spec: MeshNodeSpec | InvalidSpec) -> None:
        before = None
        for _ in range(_ROUNDS_MAX):
            planned = plan(spec, self._observe(key, found), self.frame)
            if not planned.actions:
                if planned.again_s is not None:
                    self.queue.add_after(key, planned.again_s)
                return
            if planned == before:
                raise FoughtError(f"it did not last: {planned.reason}")
            log.info("Planned", node=key.name, reason=planned.reason)
            before = planned
            for action in planned.actions:
                await self._carry_out(key, action)
        raise FoughtError(f"no end of it after {_ROUNDS_MAX} rounds")

    async def _carry_out(self, key: ObjectKey, action: Action) -> None:
        match action:
            case Apply(manifest):
                self.mirror.saw(manifest["kind"], await self.cluster.apply(manifest))
            case Delete(kind, name, uid):
                await self.cluster.delete(kind, name, uid)
                gone = self.mirror.get(kind, name)
                if gone is not None:
                    self.mirror.lost(kind, gone)
            case Issue():
                await self.trust.carry_out(action)
            case RegisterNode(order):
                await self.registrations.register_node(order)
                self.queue.add_all(self._pointing_at(key))
            case RegisterLink(order):
                await self.registrations.register_link(order)
            case AskHealth():
                self._health[key.name] = await self.ask(action)

    def _pointing_at(self, key: ObjectKey) -> list[ObjectKey]:
        """Nodes with a link to this one: they may have waited for its registration."""
        return [
            ObjectKey(key.namespace, node["metadata"]["name"])
            for node in self.mirror.of_kind(KIND)
            if any(
                isinstance(link, dict) and link.get("to") == key.name
                for link in node.get("spec", {}).get("links", ())
            )
        ]

    def _observe(self, key: ObjectKey, found: Manifest) -> Observed:
        metadata = found["metadata"]
        owner = Owner(key.name, metadata["uid"], metadata.get("generation", 0))
        secret = self.mirror.get("Secret", owner.secret)
        authority = self.trust.authority
        ledger = self.registrations
        return Observed(
            owner=owner,
            deployment=self.mirror.get("Deployment", owner.child),
            service=self.mirror.get("Service", owner.child),
            secret=secret,
            certificate=CertificateFacts(
                authority.bundle if authority else "",
                self.trust.problem,
                self.trust.settled_at_s,
                self.trust.read_leaf(secret),
            ),
            ledger=LedgerFacts(
                ledger.answers,
                ledger.problem,
                ledger.node(key.name),
                ledger.enabled(),
                ledger.refusals(key.name),
            ),
            health=self._health.get(key.name),
            now_s=self.clock(),
        )

    async def _say(
        self, key: ObjectKey, spec: MeshNodeSpec | InvalidSpec, observed: Observed, failure: str
    ) -> None:
        verdict = judge(spec, observed, failure)
        before = (self.mirror.get(KIND, key.name) or {}).get("status", {})
        status = status_of(spec, observed, verdict, before)
        patch = conditions.status_patch(before, status)
        if not patch:
            return
        self.mirror.saw(KIND, await self.cluster.apply_status(KIND, key.name, patch))
        if conditions.ready_of(before) == conditions.ready_of(status):
            return
        log.info("Changed state", node=key.name, reason=str(verdict.reason), said=verdict.message)
        event = manifests.event(observed.owner, key.namespace, verdict, observed.now_s)
        await self.cluster.tell(event)

    async def _bury(self, key: ObjectKey) -> None:
        """Take a node whose object is gone out of the mesh. The object itself is asked for: a stream may err."""
        self._health.pop(key.name, None)
        node = self.registrations.node(key.name)
        if node is None or not node.enabled or not self.registrations.answers:
            return
        if await self.cluster.get(KIND, key.name) is None:
            await self.registrations.disable(key.name)
