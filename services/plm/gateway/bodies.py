"""What goes over HTTP, as types: the source of the OpenAPI file. Amounts are decimal strings in the currency's unit."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from plm.gateway import examples

NodeId = Annotated[str, Field(description="Name of a mesh node.", examples=["a"], max_length=40)]
# As long as a number may be that one can still say of that it is too large.
Amount = Annotated[
    str, Field(description="Decimal string.", examples=["10000.00"], max_length=4_000)
]
Currency = Annotated[str, Field(description="ISO 4217 code.", examples=["USD"], max_length=32)]


class Body(BaseModel):
    """camelCase outside, snake_case inside; what we do not know is refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class PaymentRequest(Body):
    """What to pay."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PAYMENT_REQUEST]})

    from_node: NodeId = Field(alias="from")
    to_node: NodeId = Field(alias="to")
    amount: Amount
    currency: Currency


class HoldBody(Body):
    """Money set aside for one hop, and the chain entry of its latest change."""

    hop: int
    hold_id: str
    state: str = Field(description="pending, posted or voided")
    entry_seq: int
    entry_hash: str = Field(description="SHA-256, hex")


class AttemptBody(Body):
    """One try over one route."""

    attempt: int
    state: str = Field(description="open, posted or closed")
    route: list[str]
    reason: str
    failed_node: str
    opened_at_ms: int
    ended_at_ms: int
    holds: list[HoldBody]


class PaymentBody(Body):
    """A payment as the ledger has it."""

    payment_id: str
    state: str = Field(description="open, settled or refused")
    from_node: str = Field(alias="from")
    to_node: str = Field(alias="to")
    amount: str
    fee: str = Field(description="What the sender paid beyond the amount; empty until settled")
    currency: str
    route: list[str] = Field(description="The route that settled; empty until then")
    attempts: list[AttemptBody]
    refusal_code: str
    refusal_detail: str
    created_at_ms: int
    ended_at_ms: int


class RoutesRequest(PaymentRequest):
    """For which payment routes are wanted, how many, and whether they may share links."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ROUTES_REQUEST]})

    k: int = Field(default=3, ge=1, le=16)
    disjoint: bool = Field(default=False, description="No two routes share a link")
    without_nodes: list[str] = Field(default_factory=list, max_length=64)


class StepBody(Body):
    """One link of a route, explained: weight = fee × (1 + entropy)."""

    from_node: str = Field(alias="from")
    to_node: str = Field(alias="to")
    amount: str = Field(description="What moves over this link")
    fee: str
    entropy_bits: float
    weight: float = Field(description="In minor units")
    latency_ms: int


class RouteBody(Body):
    """A way to pay."""

    nodes: list[str]
    fee: str = Field(description="What the sender pays beyond the amount")
    weight: float
    steps: list[StepBody]


class LeftOutBody(Body):
    """A link that no route may take, and why."""

    from_node: str = Field(alias="from")
    to_node: str = Field(alias="to")
    reason: str


class RoutesBody(Body):
    """Routes, best first, over one version of the mesh."""

    graph_version: int
    entropy: str
    routes: list[RouteBody]
    left_out: list[LeftOutBody]


class LinkBody(Body):
    """A link as registered."""

    to_node: str = Field(alias="to")
    enabled: bool
    base_fee: str
    fee_rate_ppm: int
    latency_ms: int
    declared_volume: str
    liquidity_volume: str
    version: int


class NodeBody(Body):
    """A node as registered."""

    node_id: str
    role: str
    currency: str
    enabled: bool
    links: list[LinkBody]


class NodesBody(Body):
    """The mesh."""

    nodes: list[NodeBody]


class EntryBody(Body):
    """One entry of the chain."""

    seq: int
    hash: str
    prev_hash: str
    version: int
    transfer_id: str
    kind: str
    debit: str
    credit: str
    amount: str
    currency: str
    ref: str
    created_at_ms: int
    epoch: int


class AccountBody(Body):
    """An account with a page of its entries."""

    account_id: str
    owner: str
    currency: str
    kind: str
    posted: str
    held: str
    available: str
    head_seq: int
    entries: list[EntryBody]


class FindingBody(Body):
    """The first bad place of one kind."""

    kind: str
    seq: int
    detail: str


class VerdictBody(Body):
    """What recomputing the chain and the sums found."""

    ok: bool
    entries: int
    head_seq: int
    head_hash: str
    anchored_seq: int
    unanchored: int
    anchors_unread: str = Field(
        default="", description="why the anchors could not be read; empty when they were"
    )
    findings: list[FindingBody]
    sums: dict[str, str]
    elapsed_ms: int


class ArmRequest(Body):
    """How long the hold point holds at most."""

    hold_ms_max: int = Field(default=5_000, ge=1, le=10_000)


class HoldPointBody(Body):
    """Where a hold point stands."""

    state: str = Field(description="idle, armed or reached")
    payment_id: str
    attempt: int


class ProblemBody(BaseModel):
    """RFC 9457, with a stable code."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PROBLEM]})

    type: str
    title: str
    status: int
    code: str
    detail: str
    effectUnknown: bool = False  # noqa: N815 - the wire's spelling

    def as_json(self) -> dict[str, Any]:
        """For the response."""
        return self.model_dump()
