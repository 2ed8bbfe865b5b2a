"""The embedded single-node Kubernetes: start, revive, stop, remove, and reach into it."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import ExitCode, KitError, say
from plmkit.localcluster import (
    boot,
    certificates,
    containers,
    observation,
    ownership,
    planning,
    readiness,
    teardown,
)
from plmkit.localcluster.api import Api
from plmkit.localcluster.daemons import daemons
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.planning import StartPlan
from plmkit.state import Places


@dataclass(frozen=True)
class Status:
    """What runs. `node_is_ready` is asked of the API server; False also when it does not answer."""

    daemons: dict[str, bool]
    node_is_ready: bool
    owner: str | None


class LocalCluster:
    """One installation's embedded cluster. A machine runs one at most; its data lies under the state folder."""

    def __init__(self, places: Places, tools_bin: Path) -> None:
        self.layout = Layout(places.state)
        self._tools = tools_bin
        self._daemons = daemons(self.layout, tools_bin)

    @property
    def api(self) -> Api:
        """Administrator's access, once certificates exist."""
        return Api(*certificates.admin_files(self.layout))

    def start(self, *, take_over: bool = False, progress: Callable[[str], None] = say) -> StartPlan:
        """Boot, or revive what is half dead, and return when the node and its DNS are ready.

        May be called at any time, also after a start that was killed anywhere. Data is never touched.
        If another installation's cluster runs, it is stopped first with `take_over`, and refused without.
        """
        with ownership.locked(progress):
            equipment = boot.prepare(self.layout, self._tools)
            plan = planning.plan_start(observation.observe(self.layout, equipment))
            if plan.stop_other is not None:
                _stop_other(plan.stop_other, take_over=take_over, progress=progress)
            progress(f"cluster: {plan.reason}")
            boot.carry_out(plan, self.layout, equipment, self.api)
        return plan

    def refuse_another(self) -> None:
        """Raise KitError where another installation's cluster holds the machine, as `start` would."""
        owner = ownership.read()
        if owner is not None and owner.state != str(self.layout.state):
            raise _held_by(owner.state)

    def stop(self) -> bool:
        """End everything of this installation, keep the data, and tell whether the machine was held for it.

        Remains without a record are removed as well; another installation's cluster is left alone.
        """
        return self._end(lambda: None)

    def purge(self, and_also: Callable[[], None] = lambda: None) -> bool:
        """`stop`, and remove the cluster's data and its kubeconfig before anyone can start it again.

        `and_also`: what else has to go by then.
        """

        def remove() -> None:
            teardown.remove_data(self.layout)
            and_also()

        return self._end(remove)

    def _end(self, remove: Callable[[], None]) -> bool:
        with ownership.locked():
            owner = ownership.read()
            is_ours = owner is None or owner.state == str(self.layout.state)
            if is_ours:
                teardown.stop(self.layout, owner)
            remove()
            # Last: whoever comes next starts on what is left by then.
            if is_ours:
                ownership.clear()
            return is_ours and owner is not None

    def status(self) -> Status:
        """What runs right now."""
        owner = ownership.read()
        daemons = observation.living(self.layout, [daemon.name for daemon in self._daemons])
        # With the API server the network may be gone: a question would leave by the machine's own way out, and wait.
        answers = daemons["kube-apiserver"] and certificates.exist(self.layout)
        return Status(
            daemons=daemons,
            node_is_ready=answers and readiness.is_node_ready(self.api),
            owner=owner.state if owner else None,
        )

    def ctr(self, *arguments: str) -> str:
        """Run `ctr` on the cluster's containerd, in Kubernetes' namespace."""
        return containers.ctr(self.layout, *arguments)

    def import_images(self, archives: Sequence[Path]) -> None:
        """Import OCI archives into containerd; kubelet can use them at once."""
        containers.import_images(self.layout, archives)

    def kill_container_task(
        self, pod: str, *, namespace: str = "plm", container: str | None = None
    ) -> containers.Task:
        """SIGKILL the running container of this pod through containerd, and tell which process it was."""
        task = containers.find_task(self.layout, namespace=namespace, pod=pod, container=container)
        if task is None:
            raise KitError(f"pod {namespace}/{pod} has no running container", "plm status")
        containers.kill_task(self.layout, task)
        return task


def _stop_other(state: str, *, take_over: bool, progress: Callable[[str], None]) -> None:
    if not take_over:
        raise _held_by(state)
    progress(f"stopping the cluster of {state}; its data stays")
    teardown.stop(Layout(Path(state)), ownership.read())
    ownership.clear_record()


def _held_by(state: str) -> KitError:
    return KitError(
        f"this machine already runs the cluster of {state}",
        f"PLM_STATE_DIR={shlex.quote(state)} plm down",
        ExitCode.UNFIT_ENVIRONMENT,
    )
