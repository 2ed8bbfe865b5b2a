"""The embedded single-node Kubernetes: in its own network namespace, with DNS, volumes and enforced policies."""

from plmkit.localcluster.cluster import LocalCluster, Status
from plmkit.localcluster.containers import Task

__all__ = ["LocalCluster", "Status", "Task"]
