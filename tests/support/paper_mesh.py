"""The mesh in one process: a ledger in memory, real node engines around it, calls that can be lost at either end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from plm.domain import ids
from plm.domain.deciding import Command
from plm.domain.errors import Code, Unavailable
from plm.domain.relay import ForwardTask, Outcome
from plm.node.engine import Engine, Pool
from plm.wire import forwarding
from support.paper_books import Fault, PaperBooks, Weather, fair

GATEWAY = "gateway"


class PaperNode:
    """One mesh node's process: it dies with everything it has in hand."""

    def __init__(self, node_id: str, mesh: "PaperMesh") -> None:
        self.mesh = mesh
        self.node_id = node_id
        self.is_alive = True
        self._at_work: set[asyncio.Task[Outcome]] = set()
        self._engine = Engine(
            node_id,
            mesh.ledger.as_seen_by(node_id),
            PaperPeers(mesh, node_id),
            Pool(32, 256),
            self._pass_by,
        )

    async def _pass_by(self, payment_id: str, attempt: int) -> None:
        await self.mesh.pass_by(self.node_id)

    async def forward(self, task: ForwardTask, caller: str) -> Outcome:
        if not self.is_alive:
            raise Unavailable(Code.NODE_UNREACHABLE, "connection refused", effect_unknown=True)
        work = asyncio.create_task(self._engine.forward(task, caller))
        self._at_work.add(work)
        try:
            await asyncio.wait({work})
        finally:
            self._at_work.discard(work)
            work.cancel()  # as gRPC does when the caller hangs up
        if work.cancelled():
            raise Unavailable(Code.NODE_UNREACHABLE, "connection reset", effect_unknown=True)
        return work.result()

    def kill(self) -> None:
        """SIGKILL."""
        self.is_alive = False
        for work in self._at_work:
            work.cancel()


class PaperPeers:
    """The nodes as one process calls them: over the wire's messages, within a time, under its own name."""

    def __init__(self, mesh: "PaperMesh", caller: str) -> None:
        self._mesh = mesh
        self._caller = caller
        is_gateway = caller == GATEWAY
        self._identity = ids.service_spiffe(caller) if is_gateway else ids.node_spiffe(caller)

    async def forward(self, node_id: str, task: ForwardTask, timeout_s: float) -> Outcome:
        sent = forwarding.task_from_wire(forwarding.task_to_wire(task))
        lost = Unavailable(Code.NODE_UNREACHABLE, "connection reset", effect_unknown=True)
        try:
            async with asyncio.timeout(timeout_s):
                fault = await self._mesh.weather(self._caller, f"forward to {node_id}")
                if fault in (Fault.LOST_REQUEST, Fault.LATE):
                    raise lost
                outcome = await self._mesh.nodes[node_id].forward(sent, self._identity)
        except TimeoutError:
            raise Unavailable(Code.DEADLINE_EXCEEDED, "too late", effect_unknown=True) from None
        if fault is Fault.LOST_ANSWER:
            raise lost
        return forwarding.outcome_from_wire(forwarding.outcome_to_wire(outcome))


async def _go_on(_node_id: str) -> None:
    """Nothing holds a payment up."""


class PaperMesh:
    """A ledger and the nodes that it knows."""

    def __init__(self, founding: Iterable[Command] | None = None) -> None:
        self.ledger = PaperBooks(founding)
        self.weather: Weather = fair
        self.pass_by: Callable[[str], Awaitable[None]] = _go_on  # with its hold in hand
        self.nodes: dict[str, PaperNode] = {}
        for node_id in self.ledger.books.nodes:
            self.add_node(node_id)

    def add_node(self, node_id: str) -> None:
        """Start a node's process."""
        self.nodes[node_id] = PaperNode(node_id, self)
