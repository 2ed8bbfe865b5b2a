"""What a leader does all day: workers over the queue, the resync, the eye on CA and ledger."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from plm.domain.errors import PlmError

from plmop import metrics
from plmop.actions import ObjectKey
from plmop.cluster import Cluster, ClusterError
from plmop.mesh_node.reconcile import FoughtError, NotServingError, Reconciler
from plmop.mesh_node.spec import KIND
from plmop.mirror import Mirror
from plmop.queue import WorkQueue
from plmop.registrations import Registrations
from plmop.settings import OperatorSettings
from plmop.trust import TrustKeeper

log = structlog.get_logger(__name__)

MIRRORED = (KIND, "Deployment", "Service", "Secret")
_EXPECTED = (ClusterError, PlmError, FoughtError, NotServingError)
_TRUST_RETRY_S = 1.0


@dataclass
class Controller:
    """The moving parts that only a leader may have. lead() ends by being cancelled."""

    settings: OperatorSettings
    cluster: Cluster
    mirror: Mirror
    queue: WorkQueue[ObjectKey]
    trust: TrustKeeper
    registrations: Registrations
    reconciler: Reconciler
    _trust_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _running: dict[ObjectKey, float] = field(default_factory=dict)

    def want_trust(self) -> None:
        """A Secret that is no node's changed: perhaps the CA, or one that hangs on it."""
        self._trust_wanted.set()

    def stuck(self) -> int:
        """Reconciles that run for longer than they should."""
        limit_s = time.monotonic() - self.settings.stuck_after_s
        return sum(1 for since_s in self._running.values() if since_s < limit_s)

    async def lead(self) -> None:
        """Act until cancelled."""
        await self._prime()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_trust())
            group.create_task(self._resync_for_ever())
            group.create_task(
                self.registrations.follow(
                    self.settings.ledger_poll_s, self._registered, self._add_all
                )
            )
            for _ in range(self.settings.workers_max):
                group.create_task(self._work())

    async def _prime(self) -> None:
        """Know everything before deciding anything: half a picture would make us issue and create anew."""
        await self._read_all()
        try:
            await self.trust.refresh()
        except ClusterError as error:
            if self.trust.authority is None:
                raise
            # One Secret that nobody can write: no reason to lead no node at all.
            log.warning("Started without all certificates", problem=str(error))
            self._trust_wanted.set()
        if self.trust.authority is not None:
            try:
                await self.registrations.refresh()
            except PlmError as error:
                log.info("Started without the ledger", problem=str(error))
        self._add_all()

    async def _read_all(self) -> list[str]:
        missed = []
        for kind in MIRRORED:
            found, version = await self.cluster.list_all(kind)
            differing = self.mirror.replace(kind, found, version)
            missed += [f"{kind} {name}" for name in differing]
        return missed

    def _key(self, name: str) -> ObjectKey:
        return ObjectKey(self.settings.namespace, name)

    def _add_all(self) -> None:
        """Every object, and every node of the ledger: the object of one may be gone."""
        names = {str(node["metadata"]["name"]) for node in self.mirror.of_kind(KIND)}
        self.queue.add_all(self._key(name) for name in sorted(names | self.registrations.enabled()))

    def _registered(self, changed: frozenset[str]) -> None:
        self.queue.add_all(self._key(name) for name in sorted(changed))

    async def _resync_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.resync_s)
            try:
                missed = await self._read_all()
            except ClusterError as error:
                log.warning("Failed to resync", problem=str(error))
                continue
            for what in missed:
                metrics.MISSED.labels(what.split()[0]).inc()
            if missed:
                log.info("Resync brought news", objects=missed[:10], count=len(missed))
            self.registrations.forget_refusals()
            self.reconciler.doubt_health()
            self._trust_wanted.set()
            self._add_all()

    async def _keep_trust(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.trust.due_in_s()):
                    await self._trust_wanted.wait()
            self._trust_wanted.clear()
            try:
                if await self.trust.refresh():
                    self._add_all()
            except ClusterError as error:
                log.warning("Failed to keep certificates", problem=str(error))
                await asyncio.sleep(_TRUST_RETRY_S)
                self._trust_wanted.set()

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            started_s = self._running[key] = time.monotonic()
            outcome = "error"
            try:
                await self.reconciler.reconcile(key)
                outcome = "ok"
            except asyncio.CancelledError:
                self.queue.done(key)
                raise
            except _EXPECTED as error:
                delay_s = self.queue.failed(key)
                log.info("Will try again", node=key.name, problem=str(error), delay_s=delay_s)
            except Exception:
                # Last line of defence: one object's trouble must not stop the others.
                self.queue.failed(key)
                log.exception("Failed to reconcile", node=key.name)
            else:
                self.queue.done(key)
                metrics.LAST_SUCCESS.labels(KIND).set_to_current_time()
            finally:
                del self._running[key]
                took_s = time.monotonic() - started_s
                metrics.RECONCILE_SECONDS.labels(KIND, outcome).observe(took_s)
                if outcome == "error":
                    metrics.RECONCILE_ERRORS.labels(KIND).inc()
