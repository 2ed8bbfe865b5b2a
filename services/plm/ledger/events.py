"""What a commit tells the bus: the newest state of each changed link and node, and the head as an anchor."""

from plm.domain.books import Books
from plm.domain.chain import Head
from plm.wire import codec, subjects
from plm.wire import plm_pb2 as pb

Message = tuple[str, bytes]


def messages(books: Books, head: Head | None, epoch: int) -> list[Message]:
    """Messages for the outbox, written in the same transaction as what they tell of."""
    seq = head.seq if head else 0
    changed = books.changes.links | books.changes.moved
    found = [_link(books, key, seq) for key in sorted(changed)]
    found += [_node(books, node_id) for node_id in sorted(books.changes.nodes)]
    if head is not None:
        anchor = pb.Anchor(seq=head.seq, hash=head.hash, epoch=epoch)
        found.append((subjects.ANCHOR_SUBJECT, anchor.SerializeToString()))
    return found


def _link(books: Books, key: tuple[str, str], seq: int) -> Message:
    event = pb.LinkEvent(link=codec.link_to_wire(books.links[key]), entry_seq=seq)
    return subjects.link_subject(*key), event.SerializeToString()


def _node(books: Books, node_id: str) -> Message:
    event = pb.NodeEvent(node=codec.node_to_wire(books.nodes[node_id]))
    return subjects.node_subject(node_id), event.SerializeToString()
