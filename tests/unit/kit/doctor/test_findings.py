"""Facts become findings: every failure is one sentence with its cure, and what runs already is not refused."""

from dataclasses import replace
from typing import Any

import pytest
from plmkit.doctor.facts import Facts
from plmkit.doctor.findings import Finding, judge

# A machine on which nothing of plm is yet.
FIT = Facts(
    is_root=True,
    architecture="x86_64",
    is_debian=True,
    release="debian 12",
    python=(3, 11),
    go="go1.26.8",
    containerd="",
    runc="",
    missing_features=(),
    missing_controllers=(),
    cache_free_mib=20_000,
    state_free_mib=20_000,
    is_one_disk=False,
    memory_available_mib=8_000,
    taken_ports=(),
    routes_elsewhere=(),
    socket_path_bytes=60,
    tools_are_built=False,
    images_are_built=False,
    cluster_is_filled=False,
    cluster_runs=False,
    cluster_owner="",
)
# The same with everything built and running.
RUNNING = replace(
    FIT,
    tools_are_built=True,
    images_are_built=True,
    cluster_is_filled=True,
    cluster_runs=True,
    containerd="1.6.20",
    runc="1.1.5",
    cache_free_mib=600,
    state_free_mib=600,
    memory_available_mib=900,
)


def failures(facts: Facts, *, is_embedded: bool = True) -> list[Finding]:
    return [finding for finding in judge(facts, is_embedded=is_embedded) if finding.is_fatal]


def names(facts: Facts, **options: bool) -> list[str]:
    return [finding.name for finding in failures(facts, **options)]


def test_a_fit_machine_has_no_failure_and_every_check_says_what_it_found() -> None:
    findings = judge(FIT, is_embedded=True)
    assert [finding for finding in findings if finding.is_fatal] == []
    assert len({finding.name for finding in findings}) == len(findings)
    assert all(finding.what for finding in findings)


@pytest.mark.parametrize(
    ("change", "name", "what", "cure"),
    [
        ({"python": (3, 10)}, "python", "Python is 3.10, 3.11 is needed", "apt-get install"),
        ({"go": ""}, "go", "Go is missing, 1.26 is needed", "https://go.dev/dl"),
        ({"go": "go1.25.9"}, "go", "Go is go1.25.9, 1.26 is needed", "https://go.dev/dl"),
        ({"go": "go version unknown"}, "go", "1.26 is needed", "https://go.dev/dl"),
        ({"is_debian": False}, "debian", "no Debian", "Debian 12"),
        ({"release": "ubuntu 24.04"}, "debian", "is ubuntu 24.04, debian 12 is", "Debian 12"),
        ({"release": "debian 13"}, "debian", "is debian 13, debian 12 is", "Debian 12"),
        ({"release": ""}, "debian", "of no known release", "Debian 12"),
        ({"architecture": "aarch64"}, "processor", "is aarch64", "x86_64"),
        ({"containerd": "1.5.13"}, "runtime", "containerd is 1.5.13, 1.6 is", "plm tools"),
        ({"containerd": "0.2"}, "runtime", "containerd is 0.2, 1.6 is", "plm tools"),
        ({"runc": "1.0.3"}, "runtime", "runc is 1.0.3, 1.1 is needed", "plm tools"),
        ({"runc": "of no version that it tells"}, "runtime", "runc is of no version", "plm tools"),
        ({"taken_ports": ("2379 of etcd",)}, "ports", "listens at 2379 of etcd", "plm down"),
        ({"cache_free_mib": 13_999}, "disk", "13999 MiB free, 14000 are needed", "PLM_CACHE_DIR"),
        ({"state_free_mib": 2_999}, "disk", "2999 MiB free, 3000 are needed", "PLM_STATE_DIR"),
        ({"memory_available_mib": 6_143}, "memory", "6144 are needed", "takes memory"),
        ({"is_root": False}, "root", "needs root", "--context"),
        ({"missing_features": ("veth", "overlay")}, "kernel", "lacks veth overlay", "linux-image"),
        ({"missing_controllers": ("memory",)}, "cgroups", "lack memory", "cgroup_enable=memory"),
        ({"socket_path_bytes": 110}, "paths", "3 bytes too long", "PLM_STATE_DIR"),
        ({"routes_elsewhere": ("10.96.0.0/16 by wg0",)}, "addresses", "by wg0", "--context"),
    ],
)
def test_each_failure_is_one_sentence_with_its_cure(
    change: dict[str, Any], name: str, what: str, cure: str
) -> None:
    [failure] = failures(replace(FIT, **change))
    assert failure.name == name
    assert what in failure.what
    assert cure in failure.cure
    assert "\n" not in failure.what + failure.cure
    assert ". " not in failure.what, "one sentence"


def test_newer_programs_are_fit() -> None:
    assert names(replace(FIT, python=(3, 14), go="go1.27.0")) == []
    assert names(replace(FIT, go="go2.0")) == []
    assert names(replace(FIT, containerd="1.7.27", runc="1.2.0")) == []
    assert names(replace(FIT, containerd="2.1.0", runc="1.1.5")) == []


def test_one_disk_must_hold_both() -> None:
    shared = replace(FIT, is_one_disk=True, cache_free_mib=16_999, state_free_mib=16_999)
    [failure] = failures(shared)
    assert "16999 MiB free, 17000 are needed" in failure.what
    assert names(replace(shared, cache_free_mib=17_000, state_free_mib=17_000)) == []


def test_what_is_there_already_needs_no_room_and_no_memory_again() -> None:
    """`plm up` on a running platform changes nothing; it must not be refused for what the platform itself takes."""
    assert names(RUNNING) == []
    assert names(replace(RUNNING, cluster_runs=False)) == ["memory"]
    assert names(replace(RUNNING, images_are_built=False)) == ["disk"]
    assert names(replace(RUNNING, cluster_is_filled=False)) == ["disk"]
    assert names(replace(RUNNING, tools_are_built=False)) == ["disk", "memory"]


def test_another_cluster_asks_nothing_of_this_machine_s_kernel() -> None:
    unfit = replace(
        FIT,
        is_root=False,
        missing_features=("veth",),
        missing_controllers=("memory",),
        socket_path_bytes=200,
        routes_elsewhere=("10.96.0.0/16 by wg0",),
        runc="1.0.3",
        taken_ports=("2379 of etcd",),
    )
    assert names(unfit) == [
        "root", "kernel", "cgroups", "runtime", "paths", "ports", "addresses",
    ]  # fmt: skip
    assert names(unfit, is_embedded=False) == []


def test_another_installation_s_cluster_is_told_and_is_no_failure() -> None:
    """`plm up` itself refuses or takes over, as it is asked to."""
    held = replace(FIT, cluster_owner="/state/theirs")
    assert names(held) == []
    assert "/state/theirs" in judge(held, is_embedded=True)[-1].what
