"""The start plan: the shortest way to a running cluster from whatever is there, explained in one sentence."""

import itertools
from dataclasses import replace

import pytest
from plmkit.localcluster.planning import DaemonState, Observed, StartPlan, plan_start

OWN, OTHER = "/state/own", "/state/other"
NAMES = ("containerd", "kube-apiserver", "kubelet")
ALL_WELL = Observed(
    state=OWN,
    owner=OWN,
    network_is_up=True,
    certificates_exist=True,
    daemons=dict.fromkeys(NAMES, DaemonState.RUNNING),
)


def with_daemons(*states: DaemonState) -> Observed:
    return replace(ALL_WELL, daemons=dict(zip(NAMES, states, strict=True)))


def carried_out(plan: StartPlan, before: Observed) -> Observed:
    """What is there after the plan, as boot.py carries it out."""
    daemons = dict(before.daemons)
    if plan.clear:
        daemons = dict.fromkeys(daemons, DaemonState.DEAD)
    daemons |= dict.fromkeys(plan.stop, DaemonState.DEAD)
    # A daemon that runs cannot be started a second time: etcd's data would have two masters.
    assert [name for name in plan.launch if daemons[name] is not DaemonState.DEAD] == []
    daemons |= dict.fromkeys(plan.launch, DaemonState.RUNNING)
    return replace(
        before,
        owner=OWN if plan.clear else before.owner,
        network_is_up=before.network_is_up or plan.clear,
        certificates_exist=before.certificates_exist or plan.create_certificates,
        daemons=daemons,
    )


def everything_there_can_be() -> list[Observed]:
    return [
        Observed(
            state=OWN,
            owner=owner,
            network_is_up=network,
            certificates_exist=certificates,
            daemons=dict(zip(NAMES, states, strict=True)),
        )
        for owner in (None, OWN, OTHER)
        for network in (True, False)
        for certificates in (True, False)
        for states in itertools.product(DaemonState, repeat=len(NAMES))
    ]


def test_from_anything_one_plan_leads_to_a_running_cluster() -> None:
    """And a second one, on what the first has made, holds no step."""
    for observed in everything_there_can_be():
        reached = carried_out(plan_start(observed), observed)
        assert reached == ALL_WELL, observed
        again = plan_start(reached)
        assert again == StartPlan(
            stop_other=None,
            clear=False,
            create_certificates=False,
            stop=(),
            launch=(),
            reason="no action: all daemons run",
        )


def test_never_starts_beside_another_cluster() -> None:
    for observed in everything_there_can_be():
        expected = OTHER if observed.owner == OTHER else None
        assert plan_start(observed).stop_other == expected, observed


def test_never_makes_certificates_that_are_there() -> None:
    """New ones would lock the data's owner out."""
    for observed in everything_there_can_be():
        if observed.certificates_exist:
            assert not plan_start(observed).create_certificates, observed


def test_only_what_died_is_started_and_in_the_order_of_the_start() -> None:
    plan = plan_start(with_daemons(DaemonState.DEAD, DaemonState.RUNNING, DaemonState.DEAD))
    assert (plan.launch, plan.stop, plan.clear) == (("containerd", "kubelet"), (), False)
    assert plan.reason == "starting containerd, kubelet"


def test_what_is_outdated_is_stopped_before_it_is_started() -> None:
    plan = plan_start(with_daemons(DaemonState.RUNNING, DaemonState.OUTDATED, DaemonState.DEAD))
    assert plan.stop == ("kube-apiserver",)
    assert plan.launch == ("kube-apiserver", "kubelet")


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        (replace(ALL_WELL, owner=None), "nothing runs"),
        (replace(ALL_WELL, owner=OTHER), "another cluster holds the machine"),
        (replace(ALL_WELL, network_is_up=False), "its network is gone"),
        (replace(ALL_WELL, certificates_exist=False), "its certificates are gone"),
        (
            with_daemons(DaemonState.RUNNING, DaemonState.MISPLACED, DaemonState.RUNNING),
            "kube-apiserver lost the network",
        ),
    ],
)
def test_where_little_can_be_kept_all_is_cleared_and_started(
    observed: Observed, reason: str
) -> None:
    plan = plan_start(observed)
    assert plan.clear
    assert plan.launch == NAMES
    assert plan.reason == f"starting all: {reason}"
