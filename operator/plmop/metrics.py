"""What the operator tells Prometheus of its own work."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILE_SECONDS = Histogram(
    "plm_operator_reconcile_seconds",
    "Time of one reconcile, by kind and outcome.",
    ("kind", "outcome"),
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RECONCILE_ERRORS = Counter(
    "plm_operator_reconcile_errors_total", "Reconciles that failed and are tried again.", ("kind",)
)
WRITES = Counter(
    "plm_operator_writes_total", "Writes to the API, by kind and verb.", ("kind", "verb")
)
LAST_SUCCESS = Gauge(
    "plm_operator_last_success_timestamp_seconds", "When a reconcile last succeeded.", ("kind",)
)
QUEUE_DEPTH = Gauge("plm_operator_queue_depth", "Keys that wait for a worker.")
STUCK = Gauge("plm_operator_stuck_reconciles", "Reconciles that run for longer than they should.")
LEADER = Gauge("plm_operator_leader", "1 while this replica acts.")
WATCH_AGE = Gauge("plm_operator_watch_age_seconds", "Seconds since a watch last brought an event.")
MISSED = Counter(
    "plm_operator_missed_changes_total",
    "Changes that a resync found and no watch had brought.",
    ("kind",),
)
