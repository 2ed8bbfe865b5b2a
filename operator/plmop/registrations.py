"""The ledger as the operator knows it: a mirror of its nodes and links, and the calls that change them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import structlog
from plm.domain.errors import Code, PlmError, Refused
from plm.domain.mesh import Link, Node
from plm.domain.orders import LinkOrder, NodeOrder
from plm.transport.channels import Channels
from plm.transport.errors import from_rpc
from plm.wire import codec
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import LedgerStub

from plmop.actions import Refusal
from plmop.settings import LedgerSettings

log = structlog.get_logger(__name__)

# While the ledger is away, one question a second is asked for all nodes together.
_ASK_AGAIN_S = 1.0


# One call of the ledger's protocol: method and request in, reply out. Raises PlmError.
Call = Callable[[str, object], Awaitable[Any]]


class Registrations:
    """What the ledger has registered. One poll for all nodes keeps it fresh; our own calls update it at once."""

    def __init__(self, call: Call, ask_again_s: float = _ASK_AGAIN_S) -> None:
        self._call = call
        self._ask_again_s = ask_again_s
        self._nodes: dict[str, Node] = {}
        self._refusals: dict[str, dict[str, Refusal]] = {}
        self._touched: set[str] = set()
        self.answers = False
        self.problem = "it has not been asked yet"

    def node(self, node_id: str) -> Node | None:
        """A node as registered, with its links."""
        return self._nodes.get(node_id)

    def enabled(self) -> frozenset[str]:
        """All nodes that are part of the mesh."""
        return frozenset(name for name, node in self._nodes.items() if node.enabled)

    def refusals(self, node_id: str) -> tuple[Refusal, ...]:
        """What the ledger refused of a node and its links since the last resync."""
        return tuple(self._refusals.get(node_id, {}).values())

    def forget_refusals(self) -> None:
        """Have everything refused asked again."""
        self._refusals.clear()

    async def register_node(self, order: NodeOrder) -> None:
        """Register a node. A refusal is remembered and not raised; Conflict and Unavailable are raised."""
        request = pb.RegisterNodeRequest(
            node_id=order.node_id,
            role=order.role,
            currency=order.currency,
            object_uid=order.registration.object_uid,
            generation=order.registration.generation,
            links_to=order.links_to,
        )
        reply = await self._attempt(order.node_id, "", order, "RegisterNode", request)
        if reply is None:
            return
        known = self._nodes.get(order.node_id)
        links = known.links if known is not None else ()
        kept = tuple(link for link in links if link.to_node in order.links_to)
        self._nodes[order.node_id] = replace(codec.node_from_wire(reply), links=kept)

    async def register_link(self, order: LinkOrder) -> None:
        """Register a link. A refusal is remembered and not raised; Conflict and Unavailable are raised."""
        request = pb.RegisterLinkRequest(
            from_node=order.from_node,
            to_node=order.to_node,
            policy=codec.policy_to_wire(order.policy),
            declared_volume=str(order.declared_volume),
            object_uid=order.registration.object_uid,
            generation=order.registration.generation,
        )
        reply = await self._attempt(order.from_node, order.to_node, order, "RegisterLink", request)
        if reply is not None:
            self._put_link(codec.link_from_wire(reply))

    def _put_link(self, link: Link) -> None:
        node = self._nodes.get(link.from_node)
        if node is not None:
            others = [other for other in node.links if other.to_node != link.to_node]
            links = tuple(sorted((*others, link), key=lambda each: each.to_node))
            self._nodes[link.from_node] = replace(node, links=links)

    async def disable(self, node_id: str) -> None:
        """Take a node whose object is gone out of the mesh. Its money stays."""
        await self._call("DisableNode", pb.DisableNodeRequest(node_id=node_id))
        node = self._nodes.get(node_id)
        if node is not None:
            self._nodes[node_id] = replace(node, enabled=False)
            self._touched.add(node_id)
        self._refusals.pop(node_id, None)
        log.info("Disabled node whose object is gone", node=node_id)

    async def _attempt(
        self, node_id: str, what: str, order: NodeOrder | LinkOrder, method: str, request: object
    ) -> Any:
        try:
            reply = await self._call(method, request)
        except Refused as error:
            refusal = Refusal(order, error.code, error.detail)
            self._refusals.setdefault(node_id, {})[what] = refusal
            log.warning("Ledger refused registration", node=node_id, link_to=what, why=str(error))
            return None
        self._refusals.get(node_id, {}).pop(what, None)
        self._touched.add(node_id)
        return reply

    async def refresh(self) -> frozenset[str]:
        """Ask for all nodes. Returns those that changed: the ones whose status may have to be written."""
        answered_before = self.answers
        self._touched.clear()
        reply = await self._call("ListNodes", pb.ListNodesRequest())
        before = self._nodes
        nodes = [codec.node_from_wire(record) for record in reply.nodes]
        # What we wrote while we waited may be newer than the answer; the next one has it all.
        ours = {name: before[name] for name in self._touched & before.keys()}
        self._nodes = {node.node_id: _sorted(node) for node in nodes} | ours
        self.answers, self.problem = True, ""
        if not answered_before:
            log.info("Reached the ledger", nodes=len(nodes))
        names = self._nodes.keys() | before.keys()
        return frozenset(name for name in names if self._nodes.get(name) != before.get(name))

    async def follow(
        self, every_s: float, changed: Callable[[frozenset[str]], None], back: Callable[[], None]
    ) -> None:
        """Refresh for ever. `changed` hears of nodes that changed, `back` when the ledger answers or falls silent."""
        while True:
            answered_before = self.answers
            try:
                changed(await self.refresh())
            except PlmError as error:
                self._fell_silent(error)
            except OSError as error:
                # Our own certificate is not there yet: no CA.
                self._fell_silent(error)
            if self.answers != answered_before:
                back()
            await asyncio.sleep(every_s if self.answers else self._ask_again_s)

    def _fell_silent(self, error: Exception) -> None:
        if self.answers:
            log.warning("Lost the ledger", problem=str(error))
        self.answers, self.problem = False, str(error)


def ledger_call(channels: Channels, settings: LedgerSettings) -> Call:
    """Calls to the real ledger, under mutual TLS."""

    async def call(method: str, request: object) -> Any:
        channel = channels.channel(settings.target, settings.server_name)
        try:
            return await getattr(LedgerStub(channel), method)(request, timeout=settings.timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, Code.LEDGER_UNAVAILABLE) from error

    return call


def _sorted(node: Node) -> Node:
    return replace(node, links=tuple(sorted(node.links, key=lambda link: link.to_node)))
