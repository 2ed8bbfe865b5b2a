"""Kubernetes as `plm status`, `logs` and `demo` see it: kubectl's JSON, read only."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from plmkit import children
from plmkit.console import ExitCode, KitError
from plmkit.state import Places

NAMESPACE = "plm"
REQUEST_TIMEOUT_S = 10
# Of several requests: it first asks what kinds there are. A plugin that signs in may hang as well.
_WITHIN_S = 30.0
_CONTEXTS = "kubectl config get-contexts"


class ClusterUnreachable(KitError):
    """No API server answers. Whoever only wants to know the state says so; everyone else lets it pass through."""


class KindUnknown(KitError):
    """The API server does not know this kind: what brings it was not deployed yet."""


@dataclass(frozen=True)
class Kubectl:
    """One kubectl and the cluster it talks to."""

    binary: str
    target: tuple[str, ...]  # --kubeconfig or --context
    is_embedded: bool

    @property
    def context(self) -> str | None:
        """The context of another cluster; None for the embedded one."""
        return None if self.is_embedded else self.target[-1]

    def command(self, *arguments: str) -> list[str]:
        """The whole command line, for those who stream."""
        return [self.binary, *self.target, "--namespace", NAMESPACE, *arguments]

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        """Objects as JSON. Raises ClusterUnreachable, or KitError with kubectl's own words."""
        timeout = f"--request-timeout={REQUEST_TIMEOUT_S}s"
        command = self.command("get", *arguments)
        try:
            done = children.run(
                [*command, "--output=json", timeout], timeout_s=_WITHIN_S, cure=shlex.join(command)
            )
        except children.TimedOut as late:
            raise ClusterUnreachable(late.what, late.cure, ExitCode.UNFIT_ENVIRONMENT) from None
        if done.returncode != 0:
            raise _refusal(done.stderr, command, self.context)
        try:
            found = json.loads(done.stdout)
            items: list[Mapping[str, Any]] = found.get("items", [found])
        except (ValueError, AttributeError):
            # Cut off, or the words of something that stands before it on PATH.
            raise _unread("its answer is no list of objects", shlex.join(command)) from None
        return items


def _refusal(stderr: str, command: Sequence[str], context: str | None) -> KitError:
    lines = [line for line in stderr.strip().splitlines() if line]
    said = lines[-1] if lines else "kubectl failed without a word"
    unreachable = ("refused", "Unable to connect", "i/o timeout", "no route to host", "was refused")
    if any(word in said for word in unreachable):
        # Another one is not ours to start.
        cure = "plm up" if context is None else with_context("kubectl cluster-info", context)
        return ClusterUnreachable(
            "the cluster's API server does not answer", cure, ExitCode.UNFIT_ENVIRONMENT
        )
    if "have a resource type" in said:
        cure = with_context("plm up", context)
        return KindUnknown(f"kubectl: {said}", cure, ExitCode.UNFIT_ENVIRONMENT)
    cures = {
        "context was not found": _CONTEXTS,
        "does not exist": _CONTEXTS,
        "orbidden": with_context(f"kubectl auth can-i --list -n {NAMESPACE}", context),
    }
    found = (cure for words, cure in cures.items() if words in said)
    # Not `plm status`: it may be what asked. The same question by hand shows all that kubectl says.
    return _unread(said, next(found, shlex.join(command)))


def _unread(said: str, cure: str) -> KitError:
    # No verdict on the platform, which would end with 1: nothing of it was seen.
    return KitError(f"kubectl: {said}", cure, ExitCode.UNFIT_ENVIRONMENT)


def with_context(command: str, context: str | None) -> str:
    """This command for that cluster. Left out, it would mean the embedded one, and `plm up` would start it."""
    return command if context is None else f"{command} --context {shlex.quote(context)}"


@contextmanager
def cures_for(context: str | None) -> Iterator[None]:
    """Errors from within, whose cures were written for the embedded cluster, say that another one is meant."""
    chosen = chosen_context(context)
    try:
        yield
    except KitError as error:
        names_a_command = "plm " in error.cure or "kubectl " in error.cure
        if chosen is not None and names_a_command and "--context" not in error.cure:
            error.cure += f"; there with --context {shlex.quote(chosen)}"
        raise


def chosen_context(option: str | None) -> str | None:
    """What --context or PLM_CONTEXT says; None means the embedded cluster."""
    return option or os.environ.get("PLM_CONTEXT") or None


def has_kubectl(places: Places) -> bool:
    """Whether there is one, be it the machine's own."""
    return _binary(places) is not None


def _binary(places: Places) -> str | None:
    built = places.cache / "tools" / "bin" / "kubectl"
    return str(built) if built.exists() else shutil.which("kubectl")


def find_kubectl(places: Places, context: str | None) -> Kubectl:
    """The kubectl for `--context NAME` (or PLM_CONTEXT), else for the embedded cluster. Raises KitError."""
    context = chosen_context(context)
    binary = _binary(places)
    if binary is None:
        raise KitError("kubectl is missing", "plm tools", ExitCode.UNFIT_ENVIRONMENT)
    if context is not None:
        return Kubectl(binary, ("--context", context), is_embedded=False)
    if not places.kubeconfig.is_file():
        raise ClusterUnreachable("no cluster was started yet", "plm up", ExitCode.UNFIT_ENVIRONMENT)
    return Kubectl(binary, ("--kubeconfig", str(places.kubeconfig)), is_embedded=True)
