"""Lease-based leadership: of all replicas one acts, and it stops acting before another may begin."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from plmop.actions import MANAGED_BY, Manifest
from plmop.cluster import LEASE, Cluster, ClusterError
from plmop.settings import LeaseSettings

log = structlog.get_logger(__name__)

# We stop acting this much before our Lease could be seen as expired by another: clocks run unevenly.
_MARGIN = 0.25


@dataclass(frozen=True)
class _Sighting:
    version: str
    at_s: float


class Leadership:
    """One candidate. `clock` is monotonic: nobody's wall clock decides who leads."""

    def __init__(
        self, cluster: Cluster, settings: LeaseSettings, identity: str, clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._until_s = float("-inf")
        self._sighting: _Sighting | None = None

    def holds(self) -> bool:
        """Whether this replica may act right now."""
        return self._clock() < self._until_s

    async def acquire(self) -> None:
        """Return once this replica leads."""
        is_first = True
        while is_first or not self.holds():
            if not is_first:
                await asyncio.sleep(self._settings.retry_s)
            is_first = False
            await self._try()
        log.info("Became leader", identity=self._identity)

    async def keep(self) -> None:
        """Renew until leadership is lost, then return."""
        while self.holds():
            await asyncio.sleep(self._settings.renew_s)
            await self._try()
        log.warning("Lost leadership", identity=self._identity)

    async def _try(self) -> bool:
        asked_at_s = self._clock()
        try:
            held = await self._take()
        except ClusterError as error:
            log.warning("Failed to write the Lease", problem=str(error))
            return self.holds()
        if held:
            # Counted from before the request: the answer may have taken its time.
            self._until_s = asked_at_s + self._settings.duration_s * (1 - _MARGIN)
        else:
            self._until_s = float("-inf")
        return held

    async def _take(self) -> bool:
        lease = await self._cluster.get("Lease", LEASE)
        if lease is None:
            await self._cluster.create_lease(self._lease({}, transitions=0))
            return True
        holder = lease["spec"].get("holderIdentity") or ""
        if holder not in {"", self._identity} and not self._has_expired(lease):
            return False
        changes = int(lease["spec"].get("leaseTransitions") or 0)
        mine = self._lease(
            lease["metadata"], transitions=changes if holder == self._identity else changes + 1
        )
        if holder == self._identity:
            mine["spec"]["acquireTime"] = lease["spec"].get("acquireTime")
        try:
            await self._cluster.replace_lease(mine)
        except ClusterError as error:
            if error.is_conflict:
                return False
            raise
        return True

    def _has_expired(self, lease: Manifest) -> bool:
        """Whether its holder has not renewed for a whole duration, by our own clock."""
        version = str(lease["metadata"]["resourceVersion"])
        if self._sighting is None or self._sighting.version != version:
            self._sighting = _Sighting(version, self._clock())
        duration_s = float(lease["spec"].get("leaseDurationSeconds") or self._settings.duration_s)
        return self._clock() - self._sighting.at_s >= duration_s

    def _lease(
        self, metadata: Manifest, *, transitions: int, holder: str | None = None
    ) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept = {key: metadata[key] for key in ("resourceVersion", "uid") if key in metadata}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "labels": MANAGED_BY, **kept},
            "spec": {
                "holderIdentity": self._identity if holder is None else holder,
                "leaseDurationSeconds": self._settings.duration_s,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    async def release(self) -> None:
        """Give leadership up, so that another need not wait for the Lease to expire."""
        if not self.holds():
            return
        self._until_s = float("-inf")
        lease = await self._cluster.get("Lease", LEASE)
        if lease is None or lease["spec"].get("holderIdentity") != self._identity:
            return
        changes = int(lease["spec"].get("leaseTransitions") or 0)
        await self._cluster.replace_lease(
            self._lease(lease["metadata"], transitions=changes, holder="")
        )
        log.info("Released leadership", identity=self._identity)
