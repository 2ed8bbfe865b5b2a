"""Look at the machine and say what of the cluster is there, in the words of the plan."""

from collections.abc import Iterable
from pathlib import Path

from plmkit.localcluster import certificates, network, ownership, processes
from plmkit.localcluster.boot import Equipment
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.planning import DaemonState, Observed


def observe(layout: Layout, equipment: Equipment) -> Observed:
    """Everything that `plan_start` needs, in one value."""
    owner = ownership.read()
    return Observed(
        state=str(layout.state),
        owner=owner.state if owner else None,
        network_is_up=network.is_up(),
        certificates_exist=certificates.exist(layout),
        daemons={
            daemon.name: _daemon_state(layout, daemon.name, equipment.fingerprints[daemon.name])
            for daemon in equipment.daemons
        },
    )


def living(layout: Layout, names: Iterable[str]) -> dict[str, bool]:
    """Which of these daemons live."""
    records = {name: processes.read_record(layout.record(name)) for name in names}
    return {
        name: record is not None and processes.is_alive(record) for name, record in records.items()
    }


def _daemon_state(layout: Layout, name: str, fingerprint: str) -> DaemonState:
    record = processes.read_record(layout.record(name))
    if record is None or not processes.is_alive(record):
        return DaemonState.DEAD
    own = network.namespace_identity(Path(f"/proc/{record.pid}/ns/net"))
    if own != network.namespace_identity():
        return DaemonState.MISPLACED
    return DaemonState.RUNNING if record.fingerprint == fingerprint else DaemonState.OUTDATED
