"""A ledger kept in memory: the real decisions on the real books, behind the calls that the operator may make."""

from typing import Any

from plm.domain.books import Books
from plm.domain.deciding import decide
from plm.domain.mesh import Node, Registration
from plm.domain.orders import DisableOrder, LinkOrder, NodeOrder
from plm.domain.registering import links_of
from plm.wire import codec
from plm.wire import plm_pb2 as pb
from plm.wire.plm_pb2_grpc import LedgerServicer


class PaperLedger(LedgerServicer):
    """Serves the operator's four calls over gRPC, or in process by call(). Raises PlmError as the ledger does."""

    def __init__(self) -> None:
        self.books = Books()
        self.calls: list[str] = []

    async def call(self, method: str, request: object) -> Any:
        """One call without a network: the port of plmop.registrations."""
        return await getattr(self, method)(request, None)

    async def RegisterNode(self, request: pb.RegisterNodeRequest, context: Any) -> pb.NodeRecord:  # noqa: N802 - the protocol's
        self.calls.append("RegisterNode")
        registration = Registration(request.object_uid, request.generation)
        order = NodeOrder(
            request.node_id, request.role, request.currency, registration, tuple(request.links_to)
        )
        return self._decide_node(order)

    async def RegisterLink(self, request: pb.RegisterLinkRequest, context: Any) -> pb.LinkRecord:  # noqa: N802 - the protocol's
        self.calls.append("RegisterLink")
        order = LinkOrder(
            request.from_node,
            request.to_node,
            codec.policy_from_wire(request.policy),
            codec.amount_from_wire(request.declared_volume),
            Registration(request.object_uid, request.generation),
        )
        decide(self.books, order, 0)
        return next(
            link
            for link in self._record(request.from_node).links
            if link.to_node == request.to_node
        )

    async def DisableNode(self, request: pb.DisableNodeRequest, context: Any) -> pb.NodeRecord:  # noqa: N802 - the protocol's
        self.calls.append("DisableNode")
        return self._decide_node(DisableOrder(request.node_id))

    async def ListNodes(self, request: pb.ListNodesRequest, context: Any) -> pb.ListNodesReply:  # noqa: N802 - the protocol's
        self.calls.append("ListNodes")
        return pb.ListNodesReply(nodes=[self._record(name) for name in sorted(self.books.nodes)])

    def _decide_node(self, order: NodeOrder | DisableOrder) -> pb.NodeRecord:
        answer = decide(self.books, order, 0)
        assert isinstance(answer, Node)
        return self._record(answer.node_id)

    def _record(self, node_id: str) -> pb.NodeRecord:
        record = codec.node_to_wire(self.books.nodes[node_id])
        for link in links_of(self.books, node_id):
            message = codec.link_to_wire(link)
            account = self.books.accounts[f"link/{link.from_node}/{link.to_node}"]
            message.liquidity_volume = str(account.available)
            record.links.append(message)
        return record
