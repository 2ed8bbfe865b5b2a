"""Mesh nodes that can be killed: SIGKILL of the container's task on the embedded cluster, elsewhere by leaving."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from plmkit.console import KitError
from plmkit.health import NODE_LABEL

_BACK_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.1


class Reader(Protocol):
    """What can look at Kubernetes objects: kubectl."""

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        """Objects as JSON."""
        ...


class Leaver(Protocol):
    """What can tell a node to leave: the gateway's client."""

    async def exit_node(self, node: str) -> None:
        """Make the node's process leave with code 137."""
        ...


@dataclass(frozen=True)
class Running:
    """The container of a node as it runs now."""

    pod: str
    container_id: str
    is_ready: bool


def find_running(node: str, reader: Reader) -> Running:
    """The node's container. Raises KitError when there is none or more than one."""
    pods = [
        pod
        for pod in reader.get("pods", "-l", f"{NODE_LABEL}={node}")
        if "deletionTimestamp" not in pod["metadata"]
    ]
    running = [
        Running(
            pod=pod["metadata"]["name"],
            container_id=str(container["containerID"]).partition("://")[2],
            is_ready=bool(container["ready"]),
        )
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", ())
        if "running" in container.get("state", {})
    ]
    if len(running) != 1:
        raise KitError(f"node {node} has {len(running)} running containers", "plm status")
    return running[0]


class _Returning:
    """A node's container before the kill, and the wait for another one after it."""

    def __init__(self, node: str, reader: Reader) -> None:
        self.node = node
        self._reader = reader
        # Found before the payment is sent: the hop's deadline is a second away once it is on its way.
        self.before = find_running(node, reader)

    async def wait_until_back(self) -> None:
        """Returns when another container of the node is ready and its MeshNode says so too."""
        give_up_at = time.monotonic() + _BACK_WITHIN_S
        while not await asyncio.to_thread(self._is_back):
            if time.monotonic() > give_up_at:
                raise KitError(
                    f"node {self.node} is not Ready {_BACK_WITHIN_S:.0f} s after it was killed",
                    f"plm logs {self.node} --previous",
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    def _is_back(self) -> bool:
        try:
            now = find_running(self.node, self._reader)
            if now.container_id == self.before.container_id or not now.is_ready:
                return False
            [mesh_node] = self._reader.get("meshnodes.plm.dev", self.node)
        except KitError:
            # Not there yet, or the API server was too busy: the next look tells, the money has moved long since.
            return False
        conditions = mesh_node.get("status", {}).get("conditions", ())
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


class KilledTask(_Returning):
    """Dies by SIGKILL of its container's task, sent by the container runtime of this machine."""

    how = "SIGKILL of the container's task"

    def __init__(self, node: str, reader: Reader, kill_task: Callable[[str], object]) -> None:
        super().__init__(node, reader)
        self._kill_task = kill_task

    async def kill(self) -> None:
        """Send the signal."""
        await asyncio.to_thread(self._kill_task, self.before.pod)


class LeavingProcess(_Returning):
    """Leaves by itself with exit code 137, where nobody here can reach the container runtime."""

    how = "the process left at once with exit code 137"

    def __init__(self, node: str, reader: Reader, leaver: Leaver) -> None:
        super().__init__(node, reader)
        self._leaver = leaver

    async def kill(self) -> None:
        """Tell it to leave."""
        await self._leaver.exit_node(self.node)
