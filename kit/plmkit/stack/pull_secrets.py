"""The Secrets by which another cluster pulls images: the stack names them, people make them, plm says when and how.

Their place is the stack's namespace, which Pulumi makes: before the first `plm up` they can be nowhere yet.
"""

from collections.abc import Sequence

from plmkit.console import ExitCode, KitError, say
from plmkit.kubectl import NAMESPACE, with_context
from plmkit.stack.making import configured, configured_names
from plmkit.stack.vacancy import Reader
from plmkit.stack.workspace import Workspace


def check(workspace: Workspace, reader: Reader) -> None:
    """Raise KitError where one that the stack names is missing and there is a place for it."""
    missing = _missing(workspace, reader)
    if missing and reader.get("namespace", f"--field-selector=metadata.name={NAMESPACE}"):
        raise KitError(
            f"namespace {NAMESPACE} lacks what the stack's plm:imagePullSecrets names:"
            f" {', '.join(missing)}",
            _cure(workspace, missing),
            ExitCode.UNFIT_ENVIRONMENT,
        )


def tell(workspace: Workspace, reader: Reader) -> None:
    """Say whom pods will wait for, and how to make it meanwhile."""
    missing = _missing(workspace, reader)
    if missing:
        say(
            f"pods will wait for Secret {', '.join(missing)}: once pulumi has made namespace"
            f" {NAMESPACE}, in another shell: {_cure(workspace, missing)}"
        )


def _missing(workspace: Workspace, reader: Reader) -> list[str]:
    return [
        name
        for name in configured_names(workspace, "imagePullSecrets")
        if not reader.get("secrets", f"--field-selector=metadata.name={name}")
    ]


def _cure(workspace: Workspace, names: Sequence[str]) -> str:
    host = configured(workspace, "registry").partition("/")[0]
    making = "kubectl create secret docker-registry"
    given = f"--docker-server={host} --docker-username=USER --docker-password=PASSWORD"
    return "; ".join(
        with_context(f"{making} {name} -n {NAMESPACE} {given}", workspace.context) for name in names
    )
