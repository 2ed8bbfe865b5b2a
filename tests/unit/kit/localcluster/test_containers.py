"""containerd through a `ctr` that the test wrote: what is asked of it, and what is made of its answers."""

import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.localcluster import containers
from plmkit.localcluster.containers import Task
from plmkit.localcluster.layout import Layout
from support.programs import put

TASKS = """TASK    PID     STATUS
aaa     4711    RUNNING
bbb     0       STOPPED
ccc     4712    RUNNING
"""
CTR = """
shift 4
echo "$*" >> {folder}/asked
case "$*" in
  "tasks ls") cat {folder}/tasks ;;
  "tasks ls -q") echo aaa ;;
  "containers ls -q"*) echo bbb; echo ccc ;;
  "images ls -q") cat {folder}/present ;;
  "images import "*) cp "$3" {folder}/imported-$(basename "$3") ;;
  "tasks rm "*) echo "aaa: not found" >&2; exit 1 ;;
  version) exit $(cat {folder}/version) ;;
esac
"""

HANGS = 'case "$*" in "{}"*) exec sleep 60 ;; esac'


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """A containerd that answers."""
    put(tmp_path / "programs", "ctr", CTR.format(folder=tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    (tmp_path / "tasks").write_text(TASKS)
    (tmp_path / "version").write_text("0")
    (tmp_path / "present").touch()
    made = Layout(tmp_path)
    made.run.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(made.containerd_socket))
        server.listen()
        yield made


def asked(layout: Layout) -> list[str]:
    path = layout.state / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_tasks_are_read_with_their_processes() -> None:
    assert containers.parse_tasks(TASKS) == [
        Task("aaa", 4711, "RUNNING"),
        Task("bbb", 0, "STOPPED"),
        Task("ccc", 4712, "RUNNING"),
    ]
    assert containers.parse_tasks("TASK PID STATUS\n") == []


def test_only_tasks_that_run_count(layout: Layout) -> None:
    """A stopped one has process 0: a signal to it would reach ourselves."""
    assert [task.pid for task in containers.running(layout)] == [4711, 4712]
    assert containers.running_ids(layout) == {"aaa", "ccc"}


def test_a_pod_s_container_is_found_by_its_labels(layout: Layout) -> None:
    found = containers.find_task(layout, namespace="plm", pod="node-b-1", container="node")
    assert found == Task("ccc", 4712, "RUNNING")
    [query] = [line for line in asked(layout) if line.startswith("containers ls")]
    assert 'labels."io.kubernetes.pod.namespace"==plm' in query
    assert 'labels."io.kubernetes.pod.name"==node-b-1' in query
    assert 'labels."io.kubernetes.container.name"==node' in query
    assert 'labels."io.cri-containerd.kind"==container' in query, "or the pod's sandbox dies"


def test_a_killed_task_gets_no_goodbye(layout: Layout) -> None:
    containers.kill_task(layout, Task("ccc", 4712, "RUNNING"))
    assert asked(layout) == ["tasks kill --signal SIGKILL ccc"]


def test_what_containerd_has_cleaned_up_itself_is_no_error(layout: Layout) -> None:
    containers.forget_all(layout)
    assert asked(layout)[-1] == "containers rm bbb ccc"


def test_containerd_answers_when_its_socket_and_ctr_do(layout: Layout) -> None:
    assert containers.answers(layout)
    (layout.state / "version").write_text("1")
    assert not containers.answers(layout)


def test_nobody_waits_for_a_socket_that_is_not_there(layout: Layout) -> None:
    layout.containerd_socket.unlink()
    assert not containers.answers(layout)
    assert asked(layout) == []


def test_a_containerd_that_hangs_is_as_good_as_none(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "ANSWER_WITHIN_S", 0.3)
    put(layout.state / "programs", "ctr", "exec sleep 60")
    assert not containers.answers(layout)
    with pytest.raises(KitError, match="containerd does not answer") as failed:
        containers.wait_until_serving(layout, timeout_s=0.1, meanwhile=lambda: None)
    assert failed.value.cure == f"cat {layout.log('containerd')}"


@pytest.mark.parametrize("hangs", ["tasks ls -q", "tasks rm"])
def test_a_containerd_that_hangs_is_asked_no_further(layout: Layout, hangs: str) -> None:
    """Each question would take its time again."""
    script = CTR.format(folder=layout.state)
    put(layout.state / "programs", "ctr", script.replace("case", f"{HANGS.format(hangs)}\ncase", 1))
    with pytest.raises(KitError, match="has not ended within 1 s") as hung:
        containers.forget_all(layout, timeout_s=1.0)
    assert hung.value.cure == f"cat {layout.log('containerd')}"
    assert asked(layout)[-1].startswith(hangs)


def test_nobody_waits_for_a_containerd_that_has_ended(layout: Layout) -> None:
    def end() -> None:
        raise KitError("containerd has ended", "cat log")

    layout.containerd_socket.unlink()
    with pytest.raises(KitError, match="has ended"):
        containers.wait_until_serving(layout, timeout_s=2, meanwhile=end)


def test_ctr_s_own_words_are_passed_on(layout: Layout) -> None:
    put(layout.state / "programs", "ctr", "echo 'no space left' >&2; exit 1")
    with pytest.raises(KitError, match="ctr images import x: no space left"):
        containers.ctr(layout, "images", "import", "x")


def test_the_cluster_s_own_images_are_imported_once_per_content(
    layout: Layout, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "plm-pause").write_bytes(b"pause")
    (tools / "coredns").write_bytes(b"dns")
    images = containers.own_images(tools)
    (tmp_path / "present").write_text(f"{images.pause}\n")
    containers.provide_own_images(layout, tools, images)
    imports = [line for line in asked(layout) if line.startswith("images import")]
    assert imports == [f"images import {layout.images}/coredns.tar"]
    with tarfile.open(tmp_path / "imported-coredns.tar") as archive:
        assert "index.json" in archive.getnames()
    assert list(layout.images.iterdir()) == []

    (tools / "coredns").write_bytes(b"another dns")
    changed = containers.own_images(tools)
    assert changed.pause == images.pause
    assert changed.coredns != images.coredns
