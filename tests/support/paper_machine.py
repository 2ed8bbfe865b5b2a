"""A machine on paper for a teardown: what is done to it, in order, and nothing is."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.localcluster import containers, controlgroups, kernel, network, processes, teardown
from plmkit.localcluster.containers import Task
from plmkit.localcluster.layout import Layout
from support.programs import put

_STAT = "7 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 20 21"


class PaperMachine:
    """Stands in for everything that a teardown acts on, and writes down the order."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        self.layout = layout
        self.folder = folder
        self.done: list[str] = []
        self.containerd_answers = True
        self.containerd_dies = False
        self.limits: list[float] = []

    def put_in_place(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(processes, "stop", self.stop)
        patch.setattr(processes, "kill", lambda _pids: self.done.append("kill containers"))
        patch.setattr(containers, "answers", lambda _layout: self.containerd_answers)
        patch.setattr(containers, "running", self.running)
        patch.setattr(containers, "forget_all", self.forget)
        patch.setattr(controlgroups, "container_members", set[int])
        patch.setattr(controlgroups, "kill_members", lambda: self.done.append("kill group"))
        patch.setattr(controlgroups, "remove", lambda: self.done.append("remove group"))
        patch.setattr(network, "down", self.network_down)
        patch.setattr(kernel, "restore_settings", lambda _settings: self.done.append("settings"))
        put(self.folder / "programs", "umount", f'echo "$*" >> {self.folder}/unmounted')
        patch.setenv("PATH", f"{self.folder / 'programs'}:/usr/bin:/bin")
        patch.setattr(teardown, "_MOUNTS", self.file("mounts", ""))
        patch.setattr(teardown, "_NAMESPACES", self.folder / "netns")
        patch.setattr(teardown, "_CONTAINER_LOGS", self.folder / "logs")
        patch.setattr(teardown, "_PLUGIN_RESULTS", self.folder / "results")
        patch.setattr(teardown, "_PROC", self.folder / "proc")
        patch.setattr(teardown, "_KUBELET_SOCKET", self.folder / "stray" / "kubelet.sock")
        patch.setattr(teardown, "_STRAY_FOLDERS", (str(self.folder / "stray"),))

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def unmounted(self) -> list[str]:
        path = self.folder / "unmounted"
        return path.read_text().splitlines() if path.exists() else []

    def record(self, daemon: str) -> None:
        path = self.layout.record(daemon)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"boot\n{daemon}\n{_STAT}\n")

    def stop(self, records: Iterable[processes.ProcessRecord], *, patience_s: float) -> None:
        self.done += [f"stop {record.fingerprint}" for record in records]

    def forget(self, _layout: Layout, *, timeout_s: float) -> None:
        self.done.append("forget")
        self.limits.append(timeout_s)

    def running(self, _layout: Layout, *, timeout_s: float) -> list[Task]:
        self.done.append("ask containers")
        self.limits.append(timeout_s)
        if self.containerd_dies:
            raise KitError("ctr tasks ls: connection refused", "plm status")
        return []

    def network_down(self) -> None:
        kept = [folder for folder in (self.layout.run, self.layout.addresses) if folder.exists()]
        self.done.append("network, records first" if not kept else "network, records kept")
