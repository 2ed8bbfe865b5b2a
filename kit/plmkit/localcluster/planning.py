"""What to do so that the cluster runs, given what is there. Pure: it looks at nothing and starts nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class DaemonState(StrEnum):
    """How one daemon was found."""

    RUNNING = "running"
    DEAD = "dead"
    OUTDATED = "outdated"  # runs, with another program or configuration than it would be given now
    MISPLACED = "misplaced"  # runs in a network namespace that is no longer ours


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything that the plan looks at."""

    state: str  # the state folder that asks
    owner: str | None  # the state folder whose cluster holds the machine
    network_is_up: bool
    certificates_exist: bool
    daemons: Mapping[str, DaemonState]  # in the order of their start


@dataclass(frozen=True, kw_only=True)
class StartPlan:
    """Steps in the order of the fields. `launch` names daemons in the order of their start."""

    stop_other: str | None
    clear: bool  # end all that is left of our own cluster, data apart, and make the network
    create_certificates: bool
    stop: tuple[str, ...]
    launch: tuple[str, ...]
    reason: str


def plan_start(observed: Observed) -> StartPlan:
    """The shortest way to a running cluster. With all daemons running it holds no step."""
    other = observed.owner if observed.owner not in {None, observed.state} else None
    unusable = _why_unusable(observed)
    outdated = _named(observed, DaemonState.OUTDATED)
    if other or unusable:
        return StartPlan(
            stop_other=other,
            clear=True,
            create_certificates=not observed.certificates_exist,
            stop=(),
            launch=tuple(observed.daemons),
            reason=f"starting all: {unusable or 'another cluster holds the machine'}",
        )
    launch = tuple(
        name for name, state in observed.daemons.items() if state is not DaemonState.RUNNING
    )
    return StartPlan(
        stop_other=None,
        clear=False,
        create_certificates=False,
        stop=outdated,
        launch=launch,
        reason=f"starting {', '.join(launch)}" if launch else "no action: all daemons run",
    )


def _why_unusable(observed: Observed) -> str:
    if observed.owner is None:
        return "nothing runs"
    if not observed.network_is_up:
        return "its network is gone"
    if not observed.certificates_exist:
        return "its certificates are gone"
    if misplaced := _named(observed, DaemonState.MISPLACED):
        return f"{', '.join(misplaced)} lost the network"
    return ""


def _named(observed: Observed, state: DaemonState) -> tuple[str, ...]:
    return tuple(name for name, found in observed.daemons.items() if found is state)
