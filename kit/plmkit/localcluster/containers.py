"""containerd, asked through `ctr`: images, running containers, and their violent end."""

import hashlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plmkit import children, oci
from plmkit.console import KitError
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.rendering import OwnImages

_NAMESPACE = "k8s.io"
# One that hangs, stopped or starved, is as good as none.
ANSWER_WITHIN_S = 3.0
_WITHIN_S = 30.0
_IMPORTED_WITHIN_S = 300.0


@dataclass(frozen=True)
class Task:
    """What runs in a container: the container's id and the first process, as the host sees it."""

    container: str
    pid: int
    state: str


def ctr(layout: Layout, *arguments: str, timeout_s: float = _WITHIN_S) -> str:
    """Run `ctr` in Kubernetes' namespace and give its output."""
    log = f"cat {layout.log('containerd')}"
    done = children.run(_command(layout, *arguments), timeout_s=timeout_s, cure=log)
    if done.returncode != 0:
        raise KitError(f"ctr {' '.join(arguments[:3])}: {done.stderr.strip()}", "plm status")
    return done.stdout


def answers(layout: Layout) -> bool:
    """Whether containerd serves. `ctr` alone would wait ten seconds for a socket that nobody listens on."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(layout.containerd_socket))
    except OSError:
        return False
    try:
        done = children.run(_command(layout, "version"), timeout_s=ANSWER_WITHIN_S, cure="")
    except KitError:
        return False
    return done.returncode == 0


def _command(layout: Layout, *arguments: str) -> list[str]:
    address = str(layout.containerd_socket)
    return ["ctr", "--address", address, "--namespace", _NAMESPACE, *arguments]


def parse_tasks(listing: str) -> list[Task]:
    """Read `ctr tasks ls`."""
    rows = (line.split() for line in listing.splitlines()[1:])
    return [Task(container, int(pid), state) for container, pid, state in rows]


def running(layout: Layout, *, timeout_s: float = _WITHIN_S) -> list[Task]:
    """All tasks that run now, those of the pods' sandboxes included."""
    listed = parse_tasks(ctr(layout, "tasks", "ls", timeout_s=timeout_s))
    return [task for task in listed if task.state == "RUNNING"]


def running_ids(layout: Layout) -> set[str]:
    """Ids of the containers that run now."""
    return {task.container for task in running(layout)}


def find_task(layout: Layout, *, namespace: str, pod: str, container: str | None) -> Task | None:
    """The running task of one container of a pod; without a name, of its only or first one."""
    labels = {
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.name": pod,
        "io.cri-containerd.kind": "container",
    }
    if container is not None:
        labels["io.kubernetes.container.name"] = container
    query = [f'labels."{label}"=={value}' for label, value in labels.items()]
    ids = set(ctr(layout, "containers", "ls", "-q", ",".join(query)).split())
    return next((task for task in running(layout) if task.container in ids), None)


def kill_task(layout: Layout, task: Task) -> None:
    """SIGKILL the container's first process through containerd: what a crash looks like, with no goodbye."""
    ctr(layout, "tasks", "kill", "--signal", "SIGKILL", task.container)


def forget_all(layout: Layout, *, timeout_s: float = _WITHIN_S) -> None:
    """Remove every container, all of which have ended, so that the next start begins with none.

    containerd itself cleans up after ended tasks at the same moment: what it was faster with is no error.
    """
    for kind in ("tasks", "containers"):
        if known := ctr(layout, kind, "ls", "-q", timeout_s=timeout_s).split():
            try:
                ctr(layout, kind, "rm", *known, timeout_s=timeout_s)
            except children.TimedOut:
                raise
            except KitError:
                continue


def import_images(layout: Layout, archives: Sequence[Path]) -> None:
    """Import OCI archives; names come from the annotation `io.containerd.image.name`."""
    for archive in archives:
        ctr(layout, "images", "import", str(archive), timeout_s=_IMPORTED_WITHIN_S)


def own_images(tools: Path) -> OwnImages:
    """References of pause and CoreDNS: a changed binary has another tag."""
    return OwnImages(
        pause=f"plm.local/pause:{_content_key(tools / 'plm-pause')}",
        coredns=f"plm.local/coredns:{_content_key(tools / 'coredns')}",
    )


def provide_own_images(layout: Layout, tools: Path, images: OwnImages) -> None:
    """Build and import pause and CoreDNS where containerd lacks them."""
    present = set(ctr(layout, "images", "ls", "-q").split())
    for reference, binary in ((images.pause, "plm-pause"), (images.coredns, "coredns")):
        if reference in present:
            continue
        archive = layout.images / f"{binary}.tar"
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.write_bytes(oci.build(oci.static_binary(reference, tools / binary)).content)
        ctr(layout, "images", "import", str(archive), timeout_s=_IMPORTED_WITHIN_S)
        archive.unlink()


def wait_until_serving(layout: Layout, *, timeout_s: float, meanwhile: Callable[[], None]) -> None:
    """Return as soon as containerd answers. `meanwhile` is called until then, and raises where waiting is in vain."""
    deadline = time.monotonic() + timeout_s
    while not answers(layout):
        meanwhile()
        if time.monotonic() > deadline:
            raise KitError("containerd does not answer", f"cat {layout.log('containerd')}")
        time.sleep(0.05)


def _content_key(binary: Path) -> str:
    with binary.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
