"""The mesh in memory: a snapshot of the ledger's, then every change from the stream, published in ticks."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Protocol

import structlog
from google.protobuf.message import DecodeError
from prometheus_client import Counter, Gauge

from plm.domain.errors import PlmError
from plm.domain.graph import Entropy, Graph
from plm.domain.mesh import Link, Node
from plm.domain.routes import Quoter
from plm.stores.nats import BusMessage
from plm.wire import codec, subjects
from plm.wire import plm_pb2 as pb

log = structlog.get_logger(__name__)

EVENTS = Counter("plm_gateway_graph_events_total", "Changes of the mesh that were read.")
VERSION = Gauge("plm_gateway_graph_version", "Versions of the graph published so far.")

# A route cache pays only if a version outlives several payments.
TICK_S = 0.05
# What a lost event would leave wrong is put right after this.
RESYNC_S = 10.0
_RETRY_S = 0.5
# Without a bus the ledger is asked again and again: how far the mesh may then be behind.
_ASK_AGAIN_S = 2.0


class Ledger(Protocol):
    """Where snapshots come from."""

    async def snapshot(self) -> tuple[list[Node], list[Link], int]: ...


class Stream(Protocol):
    """Where changes come from. Raises PlmError when it breaks off."""

    def follow(self, subject: str, from_sequence: int) -> AsyncIterator[BusMessage]: ...


class Mesh:
    """Nodes and links by key; of two states of one thing the higher version wins. Pure."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.links: dict[tuple[str, str], Link] = {}

    def put_node(self, node: Node) -> bool:
        """Whether this was news."""
        known = self.nodes.get(node.node_id)
        if known is not None and known.version >= node.version:
            return False
        self.nodes[node.node_id] = node
        return True

    def put_link(self, link: Link) -> bool:
        """Whether this was news."""
        known = self.links.get(link.key)
        if known is not None and known.version >= link.version:
            return False
        self.links[link.key] = link
        return True

    def disable(self, nodes: Iterable[Node]) -> bool:
        """Take out nodes in these states; one that has changed since stays. Whether this was news."""
        found = [node for node in nodes if node.enabled and self.nodes[node.node_id] is node]
        # Their versions stay: what is older is no news still.
        self.nodes |= {node.node_id: replace(node, enabled=False) for node in found}
        return bool(found)

    def graph(self, version: int, entropy: Entropy) -> Graph:
        """What the router sees: enabled nodes and the links between them."""
        enabled = [node.node_id for node in self.nodes.values() if node.enabled]
        return Graph(enabled, self.links.values(), version=version, entropy=entropy)


class LiveGraph:
    """Keeps `quoter` at most a tick behind what was read. `run` once."""

    def __init__(self, ledger: Ledger, bus: Stream, entropy: Entropy) -> None:
        self._ledger = ledger
        self._bus = bus
        self._entropy = entropy
        self._mesh = Mesh()
        self._is_stale = False
        self._version = 0
        self._synced_at = 0.0
        self.quoter = Quoter(Graph((), ()))

    @property
    def is_loaded(self) -> bool:
        """Whether a first snapshot is there."""
        return self._version > 0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._tick())
            group.create_task(self._compare())

    async def refresh(self) -> int:
        """Take what the ledger has now; returns the stream sequence it contains, negative where it knows none.

        Raises PlmError.
        """
        known = dict(self._mesh.nodes)
        nodes, links, sequence = await self._ledger.snapshot()
        # Disabled nodes are not in it, and the event that said so may have been among those we missed.
        gone = known.keys() - {node.node_id for node in nodes}
        self._is_stale |= self._mesh.disable(known[node_id] for node_id in gone)
        for node in nodes:
            self._is_stale |= self._mesh.put_node(node)
        for link in links:
            self._is_stale |= self._mesh.put_link(link)
        self._synced_at = time.monotonic()
        self._publish()
        return sequence

    async def _follow(self) -> None:
        while True:
            try:
                sequence = await self.refresh()
                if sequence < 0:
                    log.info("Found no stream of the mesh to follow yet")
                    await asyncio.sleep(_ASK_AGAIN_S)
                    continue
                async for message in self._bus.follow(subjects.LIQUIDITY_SUBJECTS, sequence + 1):
                    self._apply(message)
            except PlmError as error:
                log.warning("Lost the stream of the mesh", reason=error.detail)
            await asyncio.sleep(_RETRY_S)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._is_stale:
                self._publish()

    async def _compare(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if time.monotonic() - self._synced_at > RESYNC_S:
                await self._resync()

    async def _resync(self) -> None:
        try:
            await self.refresh()
        except PlmError as error:
            self._synced_at = time.monotonic()
            log.warning("Could not compare the mesh with the ledger", reason=error.detail)

    def _apply(self, message: BusMessage) -> None:
        EVENTS.inc()
        try:
            self._take(message)
        except (DecodeError, PlmError) as error:
            # Nothing of ours writes such a message; what it should have said, the next comparison finds.
            log.warning("Left out an event", subject=message.subject, reason=repr(error))

    def _take(self, message: BusMessage) -> None:
        if subjects.is_link_subject(message.subject):
            link = codec.link_from_wire(pb.LinkEvent.FromString(message.payload).link)
            self._is_stale |= self._mesh.put_link(link)
        else:
            node = codec.node_from_wire(pb.NodeEvent.FromString(message.payload).node)
            self._is_stale |= self._mesh.put_node(node)

    def _publish(self) -> None:
        self._is_stale = False
        self._version += 1
        VERSION.set(self._version)
        self.quoter = Quoter(self._mesh.graph(self._version, self._entropy))
