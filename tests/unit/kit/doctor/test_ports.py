"""Ports of daemons that do not run: taken by somebody else, or free."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from plmkit.doctor import facts, ports
from plmkit.localcluster import network, observation, ownership
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.ownership import Ownership
from plmkit.state import Places

# The columns that count: local address and state. The first listens, the second is a connection.
TABLES = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 026433C6:192B 016433C6:9C40 01 00000000:00000000 00:00000000 00000000     0
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A
"""


@contextmanager
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_who_listens_is_read_from_both_tables() -> None:
    assert ports.listening(TABLES) == {2379, 10250}
    assert ports.listening("") == set()


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_tables", lambda: TABLES)


def test_a_port_is_taken_when_its_daemon_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: None
) -> None:
    layout, alive = Layout(tmp_path), {"kubelet"}
    monkeypatch.setattr(
        observation, "living", lambda _layout, names: {name: name in alive for name in names}
    )
    assert ports.taken(layout) == ("2379 of etcd",)
    alive.add("etcd")
    assert ports.taken(layout) == ()


def test_a_network_is_looked_into_and_none_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of the cluster's own: the one that this test is in."""
    monkeypatch.setattr(network, "inside", list)
    with listener() as port:
        monkeypatch.setattr(ports, "OF_DAEMONS", {"etcd": (port,)})
        monkeypatch.setattr(network, "namespace_identity", lambda: 7)
        assert ports.taken(Layout(tmp_path)) == (f"{port} of etcd",)
        monkeypatch.setattr(network, "namespace_identity", lambda: 0)
        assert ports.taken(Layout(tmp_path)) == ()


def test_a_look_that_is_not_allowed_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "inside", lambda command: ["no-such-nsenter", *command])
    monkeypatch.setattr(network, "namespace_identity", lambda: 7)
    assert ports.taken(Layout(tmp_path)) == ()


@pytest.mark.parametrize(
    ("is_ours", "found"), [(True, ("2379 of etcd", "10250 of kubelet")), (False, ())]
)
def test_daemons_of_another_installation_are_no_strangers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tables: None,
    is_ours: bool,
    found: tuple[str, ...],
) -> None:
    """Their records are not ours to read: they would all pass for strangers."""
    places = Places(tmp_path, tmp_path / "cache", tmp_path / "state")
    monkeypatch.setattr(ownership, "RECORD", tmp_path / "cluster.json")
    state = places.state if is_ours else Path("/state/theirs")
    ownership.write(Ownership(os.fspath(state), {}, namespaces_folder_existed=True))
    assert facts.gather(places).taken_ports == found
