"""Command lines of the daemons: what makes one outdated, and that no secret and no public address is among them."""

import os
from pathlib import Path

import pytest
from plmkit.localcluster.daemons import Daemon, Stage, daemons
from plmkit.localcluster.layout import NODE_ADDRESS, Layout
from plmkit.localcluster.rendering import OwnImages, config_files

LAYOUT = Layout(Path("/state"))
ALL = daemons(LAYOUT, Path("/tools"))


@pytest.fixture
def proxy(tmp_path: Path) -> Daemon:
    """A daemon with a program of its own and a configuration file."""
    program = tmp_path / "kube-proxy"
    program.write_text("v1")
    return Daemon("kube-proxy", Stage.CONTROL, (str(program), "--config=/state/proxy.yaml"))


def test_they_start_in_stages_each_name_once() -> None:
    assert [daemon.stage for daemon in ALL] == sorted(daemon.stage for daemon in ALL)
    assert len({daemon.name for daemon in ALL}) == len(ALL)
    stages = {daemon.name: daemon.stage for daemon in ALL}
    # No pod may start before policies are enforced.
    assert stages["plm-netpol"] < stages["kubelet"]
    assert stages["kube-apiserver"] < stages["plm-netpol"]


def test_only_the_api_server_listens_where_the_host_reaches_it() -> None:
    bound = {
        daemon.name: word
        for daemon in ALL
        for word in daemon.command
        if word.startswith(("--bind-address=", "--listen-client-urls=", "--listen-peer-urls="))
    }
    assert bound.pop("kube-apiserver") == f"--bind-address={NODE_ADDRESS}"
    assert [word for word in bound.values() if "127.0.0.1" not in word] == []


def test_every_configuration_file_that_is_named_is_rendered() -> None:
    rendered = {str(path) for path in config_files(LAYOUT, OwnImages("pause", "dns"))}
    named = {
        word.partition("=")[2] or word
        for daemon in ALL
        for word in daemon.command
        if str(LAYOUT.config) in word
    }
    assert named <= rendered
    assert len(named) == 3


def test_a_daemon_is_outdated_by_its_program_its_arguments_and_its_file(proxy: Daemon) -> None:
    config = {Path("/state/proxy.yaml"): "mode: iptables", Path("/state/kubelet.yaml"): "x"}
    before = proxy.fingerprint(config)
    assert proxy.fingerprint(config) == before
    assert proxy.fingerprint({**config, Path("/state/kubelet.yaml"): "y"}) == before
    assert proxy.fingerprint({**config, Path("/state/proxy.yaml"): "mode: nft"}) != before
    other = Daemon(proxy.name, proxy.stage, (*proxy.command, "--v=2"))
    assert other.fingerprint(config) != before
    # Built anew under the same path, with the same size.
    os.utime(proxy.command[0], ns=(0, 0))
    assert proxy.fingerprint(config) != before
