"""A route's hops as JSON, the form in which an attempt's row keeps them."""

import json

from plm.domain.mesh import LinkPolicy
from plm.domain.orders import Hop


def encode(hops: tuple[Hop, ...]) -> str:
    """Amounts as text: JSON numbers end at 53 bits in many readers."""
    return json.dumps(
        [
            {
                "from": hop.from_node,
                "to": hop.to_node,
                "amount": str(hop.amount),
                "base_fee": str(hop.policy.base_fee),
                "fee_rate_ppm": hop.policy.fee_rate_ppm,
                "latency_ms": hop.policy.latency_ms,
            }
            for hop in hops
        ]
    )


def decode(text: str) -> tuple[Hop, ...]:
    """The inverse of encode."""
    return tuple(
        Hop(
            row["from"],
            row["to"],
            int(row["amount"]),
            LinkPolicy(int(row["base_fee"]), row["fee_rate_ppm"], row["latency_ms"]),
        )
        for row in json.loads(text)
    )
