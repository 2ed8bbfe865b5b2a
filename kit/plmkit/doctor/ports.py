"""Ports of the cluster's daemons, in its own network: who listens there while the daemon itself does not run."""

import subprocess

from plmkit.localcluster import network, observation
from plmkit.localcluster.layout import API_PORT, Layout

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = "0A"
_ANSWER_WITHIN_S = 10.0
OF_DAEMONS = {
    "etcd": (2379, 2380),
    "kube-apiserver": (API_PORT,),
    "kube-controller-manager": (10257,),
    "kube-scheduler": (10259,),
    "kubelet": (10248, 10250),
    "kube-proxy": (10249, 10256),
}


def taken(layout: Layout) -> tuple[str, ...]:
    """Those that a dead daemon will not get when it is started again. None where there is no network yet.

    Of the machine's own ports the cluster needs none.
    """
    found = listening(_tables())
    alive = observation.living(layout, OF_DAEMONS) if found else {}
    return tuple(
        f"{port} of {daemon}"
        for daemon, ports in OF_DAEMONS.items()
        for port in ports
        if port in found and not alive[daemon]
    )


def _tables() -> str:
    if not network.namespace_identity():
        return ""
    try:
        done = subprocess.run(
            network.inside(["cat", *_TABLES]),
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout  # nothing for a plain user; that we are not root is a finding of its own


def listening(tables: str) -> set[int]:
    """Ports that somebody listens at, in tables as in /proc/net/tcp."""
    rows = (line.split() for line in tables.splitlines())
    return {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if len(row) > 3 and row[3] == _LISTENS  # noqa: PLR2004 - its column
    }
