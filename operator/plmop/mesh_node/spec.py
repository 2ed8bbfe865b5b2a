"""What a person writes about a MeshNode. The CRD is generated from these models; nothing says it twice."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from plm.domain import ids
from plm.domain.errors import PlmError
from plm.domain.money import SCALES, parse_amount
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic.alias_generators import to_camel

KIND = "MeshNode"
PLURAL = "meshnodes"

LINKS_MAX = 128
NODE_ID_PATTERN = "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"
AMOUNT_PATTERN = "^(0|[1-9][0-9]{0,37})([.][0-9]{1,6})?$"

Role = Literal["sme", "provider", "hub"]
NodeId = Annotated[str, Field(pattern=NODE_ID_PATTERN, max_length=40)]
Amount = Annotated[str, Field(pattern=AMOUNT_PATTERN, max_length=45)]

_SCALES_CEL = "{" + ", ".join(f"'{name}': {scale}" for name, scale in sorted(SCALES.items())) + "}"


def _digits_rule(field: str) -> dict[str, JsonValue]:
    """CEL: an amount of a link has at most as many digits after the point as the currency has."""
    value = f"link.{field}"
    return {
        "rule": (
            f"!has(self.links) || self.links.all(link, !has({value}) || !{value}.contains('.') || "
            f"size({value}) - {value}.indexOf('.') - 1 <= {_SCALES_CEL}[self.currency])"
        ),
        "message": f"links[].{field} has more digits after the point than the currency",
    }


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Link(_Model):
    """A link to another node, funded with this node's money."""

    to: NodeId = Field(description="Name of the MeshNode at the other end; unique among the links.")
    base_fee: Amount = Field(
        "0", description="What a payment over this link costs at least, in the node's currency."
    )
    fee_rate_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="Added to the base fee: parts per million of the payment's amount."
    )
    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        0,
        description="How long this link is expected to take; shown, not part of a route's weight.",
    )
    liquidity_volume: Amount = Field(
        description=(
            "Declared volume: what the ledger funds the link with, from the currency's external account. "
            "A change moves the difference, once; less than is free is refused (Degraded, InsufficientFunds)."
        )
    )


class MeshNodeSpec(_Model):
    """What a node of the mesh is to be."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [_digits_rule("baseFee"), _digits_rule("liquidityVolume")]
        }
    )

    role: Role = Field(
        "sme", description="What kind of business runs the node; shown in the graph."
    )
    currency: Literal["EUR", "JPY", "USD", "USDC"] = Field(
        description="The node's one currency. A link joins nodes of the same. Cannot be changed.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "currency cannot be changed"}
            ]
        },
    )
    links: Annotated[tuple[Link, ...], Field(max_length=LINKS_MAX)] = Field(
        (),
        description="Links that this node declares and funds; a link taken away keeps its money.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["to"],
        },
    )
    workers_max: Annotated[int, Field(ge=1, le=256)] = Field(
        32, description="Payments that the node works on at once; more wait in a bounded queue."
    )
    paused: bool = Field(
        False,
        description="Stop all action on this object, the renewal of its certificate included.",
    )

    @model_validator(mode="after")
    def _amounts_fit_the_currency(self) -> "MeshNodeSpec":
        try:
            for link in self.links:
                parse_amount(link.base_fee, self.currency)
                parse_amount(link.liquidity_volume, self.currency)
        except PlmError as error:
            raise ValueError(error.detail) from error
        ends = [link.to for link in self.links]
        if len(set(ends)) != len(ends):
            raise ValueError("links[].to must be unique")
        return self


# Rules that need the object's name: they stand at the root of the schema.
ROOT_RULES = (
    {
        "rule": f"self.metadata.name.matches('{NODE_ID_PATTERN}')",
        "message": "a node's name has at most 40 lower-case letters, digits and '-', a letter first",
    },
    {
        "rule": "!has(self.spec.links) || self.spec.links.all(link, link.to != self.metadata.name)",
        "message": "a node cannot link to itself",
    },
)


@dataclass(frozen=True)
class InvalidSpec:
    """A spec that got past the schema and makes no sense all the same."""

    problem: str


def read_spec(name: str, raw: Any) -> MeshNodeSpec | InvalidSpec:
    """The spec of an object, or what is wrong with it."""
    try:
        ids.check_node_id(name)
        spec = MeshNodeSpec.model_validate(raw or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return InvalidSpec(f"spec.{place}: {first['msg']}" if place else f"spec: {first['msg']}")
    except PlmError as error:
        return InvalidSpec(error.detail)
    if any(link.to == name for link in spec.links):
        return InvalidSpec("a node cannot link to itself")
    return spec
