"""What the ledger can be asked to do: one frozen record per command."""

from dataclasses import dataclass

from plm.domain.mesh import LinkPolicy, Registration

# Of a route, and of the time that an attempt over it may take.
HOPS_MAX = 32
TIMEOUT_MS_MAX = 30_000


@dataclass(frozen=True, slots=True)
class Hop:
    """One link of a route, with what moves over it and the policy it was quoted with."""

    from_node: str
    to_node: str
    amount: int  # minor units
    policy: LinkPolicy


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What a client asked for."""

    payment_id: str
    client_id: str
    body_sha256: bytes
    from_node: str
    to_node: str
    amount: int  # minor units
    currency: str


@dataclass(frozen=True, slots=True)
class AttemptOrder:
    """Open attempt `number` over `hops`, to be decided within `timeout_ms`."""

    payment_id: str
    number: int
    hops: tuple[Hop, ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class HoldOrder:
    """Set aside the money of one hop. `owner` is the node that asks, by its certificate."""

    payment_id: str
    number: int
    hop: int
    owner: str


@dataclass(frozen=True, slots=True)
class PostOrder:
    """Post the attempt whose holds these are. `owner` is the node that asks, by its certificate."""

    payment_id: str
    number: int
    hold_ids: tuple[str, ...]
    owner: str


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """Give up an attempt, and why."""

    payment_id: str
    number: int
    reason: str
    failed_node: str = ""


@dataclass(frozen=True, slots=True)
class RefuseOrder:
    """Keep this refusal as the payment's answer."""

    payment_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class NodeOrder:
    """A node as declared; links that are not named are taken out of the graph."""

    node_id: str
    role: str
    currency: str
    registration: Registration
    links_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkOrder:
    """A link as declared."""

    from_node: str
    to_node: str
    policy: LinkPolicy
    declared_volume: int
    registration: Registration


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Move `amount` minor units from debit to credit, once per id."""

    transfer_id: str
    debit: str
    credit: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class DisableOrder:
    """Take a node out of the graph."""

    node_id: str
