"""Where a store listens, and which Secret opens it: all that a store tells of itself."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class Endpoint:
    """Host and port inside the namespace. `labels` select its pods, for policies."""

    host: pulumi.Input[str]
    port: int
    labels: dict[str, str]
