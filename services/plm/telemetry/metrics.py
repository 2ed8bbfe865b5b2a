"""Metrics that several services share. A service's own metrics live beside what they measure."""

from prometheus_client import Histogram

# From a warm call inside one node to the longest an attempt may take.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

RPC_SECONDS = Histogram(
    "plm_rpc_seconds",
    "Time to answer a gRPC call, by method and outcome (ok, cancelled, or an error code).",
    ("method", "outcome"),
    buckets=_SECONDS,
)
