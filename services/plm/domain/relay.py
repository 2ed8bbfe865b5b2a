"""What a mesh node decides when it is asked to pass a payment on. Pure: the node's engine carries it out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from plm.domain import ids
from plm.domain.errors import Code, Refused
from plm.domain.forms import note
from plm.domain.orders import HOPS_MAX, TIMEOUT_MS_MAX, CloseOrder, Hop
from plm.domain.payments import Attempt

HOP_TIMEOUT_MS = 1_000


@dataclass(frozen=True, slots=True)
class ForwardTask:
    """A payment on its way: the whole route, whose turn it is, and how much time is left."""

    payment_id: str
    attempt: int
    currency: str
    hops: tuple[Hop, ...]
    position: int  # the receiver's; the last node's is len(hops)
    budget_ms: int

    @property
    def stops(self) -> tuple[str, ...]:
        """The nodes of the route in order."""
        return self.hops[0].from_node, *(hop.to_node for hop in self.hops)

    @property
    def is_last(self) -> bool:
        """Whether the receiver is where the payment ends."""
        return self.position == len(self.hops)

    @property
    def holds_behind(self) -> tuple[str, ...]:
        """The holds that the next node confirms: its own and all behind it."""
        places = range(self.position + 1, len(self.hops))
        return tuple(ids.hold_id(self.payment_id, self.attempt, place) for place in places)

    def passed_on(self, elapsed_ms: int) -> "ForwardTask":
        """The task as the next node gets it."""
        return replace(self, position=self.position + 1, budget_ms=self.budget_ms - elapsed_ms)

    def next_timeout_ms(self, elapsed_ms: int) -> int:
        """How long the next node may take: a hop's time for each node still ahead, and a share of what is left.

        A share, because who waits for us must wait longer: else it gives us up before we can name the silent one.
        """
        ahead = len(self.hops) - self.position
        return min(HOP_TIMEOUT_MS * ahead, (self.budget_ms - elapsed_ms) * ahead // (ahead + 1))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes back: the holds of the receiver and all behind it, or why not and whom to leave out."""

    hold_ids: tuple[str, ...] = ()
    posted: bool = False
    closed: bool = False
    error_code: str = ""
    error_detail: str = ""
    failed_node: str = ""
    failed_link: tuple[str, str] = ("", "")

    @property
    def is_confirmed(self) -> bool:
        """Whether every node behind has its hold."""
        return not self.error_code


def check(task: ForwardTask, node_id: str, caller: str) -> None:
    """Raise Refused unless this node has this part in the payment and the caller has the one before it."""
    # First, and bounded: what follows looks at each hop, and a worker may wait for as long as they all may take.
    if not 0 < len(task.hops) <= HOPS_MAX:
        raise Refused(Code.INVALID_REQUEST, f"a route has 1 to {HOPS_MAX} hops")
    if not 0 <= task.position <= len(task.hops) or task.attempt < 1:
        raise Refused(Code.INVALID_REQUEST, "the route has no such place")
    stops = task.stops
    if [hop.from_node for hop in task.hops] != list(stops[:-1]) or len(set(stops)) != len(stops):
        raise Refused(Code.INVALID_REQUEST, "the hops are not one path")
    if stops[task.position] != node_id:
        raise Refused(Code.INVALID_REQUEST, f"place {task.position} is {stops[task.position]}'s")
    expected = (
        ids.service_spiffe("gateway")
        if task.position == 0
        else ids.node_spiffe(stops[task.position - 1])
    )
    if caller != expected:
        raise Refused(Code.FORBIDDEN, f"{caller or 'nobody'} has no part before {node_id} here")
    if not 0 < task.budget_ms <= TIMEOUT_MS_MAX:
        raise Refused(Code.INVALID_REQUEST, f"a budget is 1 to {TIMEOUT_MS_MAX} ms")
    if any(hop.amount <= 0 for hop in task.hops):
        raise Refused(Code.INVALID_AMOUNT, "an amount must be greater than zero")


_LINK_FAULTS = frozenset(
    {Code.INSUFFICIENT_FUNDS, Code.POLICY_CHANGED, Code.UNKNOWN_ACCOUNT, Code.ACCOUNT_CLOSED}
)
# Somebody else has ended the attempt.
_NO_FAULTS = frozenset({Code.ATTEMPT_CLOSED, Code.ATTEMPT_POSTED})


def own_failure(task: ForwardTask, code: Code, detail: str) -> Outcome:
    """The receiver could not do its part. Money or policy of its link is the link's fault, the rest its own.

    The first node blames nobody: there is no way around the sender.
    """
    hop = task.hops[task.position]
    if code in _LINK_FAULTS:
        link = (hop.from_node, hop.to_node)
        return Outcome(error_code=code, error_detail=detail, failed_link=link)
    failed = hop.from_node if task.position and code not in _NO_FAULTS else ""
    return Outcome(error_code=code, error_detail=detail, failed_node=failed)


def post_failure(task: ForwardTask, code: Code, detail: str) -> Outcome:
    """The ledger did not post: at fault is the link that it names, or that leads to a hold it misses, or nobody."""
    is_a_links = code in _LINK_FAULTS or code is Code.AMOUNT_TOO_LARGE
    named = named_links(task.hops, detail) if is_a_links else ()
    link = named[0] if named else ("", "")
    if code is Code.INVALID_REQUEST:
        link = _to_missing_hold(task, detail)
    return Outcome(error_code=code, error_detail=detail, failed_link=link)


def _to_missing_hold(task: ForwardTask, detail: str) -> tuple[str, str]:
    """The link into the first node whose hold was confirmed and is not there.

    That node lied, or the one before it, which never asked it: a hold's name can be guessed.
    """
    missing = _words(detail).intersection(task.holds_behind)
    places = [task.holds_behind.index(hold_id) for hold_id in missing]
    if not places:
        return "", ""
    hop = task.hops[task.position + min(places)]
    return hop.from_node, hop.to_node


def named_links(hops: Sequence[Hop], detail: str) -> tuple[tuple[str, str], ...]:
    """Links of a route that a refusal of the ledger's names, by themselves or by one of their two accounts."""
    words = _words(detail)
    found = []
    for hop in hops:
        near, far = hop.from_node, hop.to_node
        names = {f"{near}-{far}", ids.link_account(near, far), ids.link_account(far, near)}
        if names & words:
            found.append((near, far))
    return tuple(found)


def _words(detail: str) -> set[str]:
    return {word.strip(",.:;'\"[]") for word in detail.split()}


def next_failure(task: ForwardTask, code: Code, detail: str) -> Outcome:
    """The next node did not answer as it should: leave it out."""
    failed = task.hops[task.position].to_node
    return Outcome(error_code=code, error_detail=f"{failed}: {detail}", failed_node=failed)


def passed_back(task: ForwardTask, behind: Outcome) -> Outcome:
    """What failed further on, for the node before us: whoever names nobody behind us has failed itself.

    What became of the attempt is not for those behind to say: see `once_closed`.
    """
    following, hops = task.hops[task.position].to_node, task.hops[task.position + 1 :]
    nodes = {following} | {hop.to_node for hop in hops}
    failed = behind.failed_node if behind.failed_node in nodes else ""
    is_link = behind.failed_link in {(hop.from_node, hop.to_node) for hop in hops}
    link = behind.failed_link if is_link else ("", "")
    if not failed and not is_link:
        failed = following
    return Outcome(
        error_code=behind.error_code,
        error_detail=behind.error_detail,
        failed_node=failed,
        failed_link=link,
    )


def once_closed(outcome: Outcome, order: CloseOrder, attempt: Attempt | None) -> Outcome:
    """A failure as the first node tells it after its close; None: it could not close.

    That somebody else has ended the attempt is nobody's fault, where it is true. It is a lie where our own close is
    what ended it, within its time.
    """
    is_ours = (
        attempt is not None
        and attempt.close_reason == order.reason
        and attempt.ended_at_ms <= attempt.deadline_ms
    )
    told = replace(outcome, closed=attempt is not None)
    if outcome.error_code in _NO_FAULTS and not is_ours:
        return replace(told, failed_node="", failed_link=("", ""))
    return told


def give_up(payment_id: str, attempt: int, outcome: Outcome) -> CloseOrder:
    """The order that closes an attempt for what came of it."""
    return CloseOrder(payment_id, attempt, note(outcome.error_detail), outcome.failed_node)
