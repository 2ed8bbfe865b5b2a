"""A ledger's snapshots and the stream of its events, in memory: either may be away or late."""

import asyncio
from collections.abc import AsyncIterator, Callable

from plm.domain.errors import Code, Unavailable
from plm.domain.mesh import Link, LinkPolicy, Node, Registration
from plm.stores.nats import BusMessage
from plm.wire import codec, subjects
from plm.wire import plm_pb2 as pb


def node(node_id: str, version: int = 1, *, enabled: bool = True) -> Node:
    return Node(node_id, "hub", "USD", Registration(f"uid-{node_id}", 1), version, enabled)


def link(from_node: str, to_node: str, version: int = 1, volume: int = 1000) -> Link:
    policy = LinkPolicy(1)
    registration = Registration("", 0)
    return Link(
        from_node, to_node, policy, 1000, registration, version, "USD", liquidity_volume=volume
    )


class Source:
    """Ledger and stream in one: what was published after a snapshot can be followed from there."""

    def __init__(self) -> None:
        self.mesh: dict[object, Node | Link] = {}
        self.stream: list[BusMessage] = []
        self.ledger_is_up = self.bus_is_up = True
        self.snapshots = 0
        self.following_from: list[int] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.ledger_sees_bus = True
        self.ledger_takes_s = 0.0

    def put(self, thing: Node | Link, *, is_published: bool = True) -> None:
        """As the ledger commits a change and its outbox carries the event."""
        self.mesh[thing.node_id if isinstance(thing, Node) else thing.key] = thing
        if is_published:
            self.publish(thing)

    def publish(self, thing: Node | Link) -> None:
        if isinstance(thing, Node):
            subject = subjects.node_subject(thing.node_id)
            payload = pb.NodeEvent(node=codec.node_to_wire(thing)).SerializeToString()
        else:
            subject = subjects.link_subject(*thing.key)
            payload = pb.LinkEvent(link=codec.link_to_wire(thing)).SerializeToString()
        self.send(subject, payload)

    def send(self, subject: str, payload: bytes) -> None:
        self.stream.append(BusMessage(subject, payload, len(self.stream) + 1))

    async def snapshot(self) -> tuple[list[Node], list[Link], int]:
        if not self.ledger_is_up:
            raise Unavailable(Code.LEDGER_UNAVAILABLE, "no answer")
        self.snapshots += 1
        nodes = [each for each in self.mesh.values() if isinstance(each, Node) and each.enabled]
        links = [each for each in self.mesh.values() if isinstance(each, Link)]
        sequence = len(self.stream) if self.ledger_sees_bus else -1
        self.before_answer()
        await asyncio.sleep(self.ledger_takes_s)
        return nodes, links, sequence

    async def follow(self, subject: str, from_sequence: int) -> AsyncIterator[BusMessage]:
        assert subject == subjects.LIQUIDITY_SUBJECTS
        self.following_from.append(from_sequence)
        place = from_sequence - 1
        while self.bus_is_up:
            for message in self.stream[place:]:
                place = message.sequence
                yield message
            await asyncio.sleep(0.001)
        raise Unavailable(Code.NODE_UNREACHABLE, "the stream broke off")
