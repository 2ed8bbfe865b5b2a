"""Paths of one installation: all that a purge removes lies together, and sockets can be listened on."""

from pathlib import Path

from plmkit.localcluster.layout import Layout

# Of sockaddr_un, the ending zero included.
SOCKET_PATH_MAX = 108


def folders(layout: Layout) -> dict[str, Path]:
    """Every property that is a path."""
    names = [name for name, value in vars(Layout).items() if isinstance(value, property)]
    return {name: getattr(layout, name) for name in names}


def test_all_but_the_people_s_kubeconfig_lies_where_a_purge_removes_it() -> None:
    layout = Layout(Path("/state"))
    outside = {
        name for name, path in folders(layout).items() if not path.is_relative_to(layout.cluster)
    }
    assert outside == {"admin_kubeconfig"}
    assert layout.kubeconfig("kubelet").is_relative_to(layout.cluster)
    assert layout.record("etcd").parent == layout.run
    assert layout.log("etcd").parent == layout.logs


def test_no_two_things_share_a_place() -> None:
    paths = list(folders(Layout(Path("/state"))).values())
    assert len(paths) == len(set(paths))


def test_sockets_have_room_under_a_usual_home() -> None:
    layout = Layout(Path("/home/a-person-with-a-longish-name/.local/state/plm"))
    # containerd listens on a second one beside its own.
    sockets = (f"{layout.containerd_socket}.ttrpc", str(layout.policies_socket))
    assert [path for path in sockets if len(path) >= SOCKET_PATH_MAX] == []
