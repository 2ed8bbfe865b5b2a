"""Whether a stack may take its names in a cluster that is not ours: what others have there stays theirs.

Pulumi applies what it makes over what bears that name already, and `pulumi destroy` then removes it, whoever made it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from plmkit.console import ExitCode, KitError
from plmkit.kubectl import NAMESPACE, with_context
from plmkit.stack import remains
from plmkit.stack.workspace import Workspace

# All that the program makes outside of its namespace is the kind of the mesh nodes, and with it go all of them.
_TAKEN = (
    ("kubernetes:core/v1:Namespace", "namespace", NAMESPACE),
    (
        "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
        "customresourcedefinition",
        "meshnodes.plm.dev",
    ),
)


class Reader(Protocol):
    """What can look at Kubernetes objects: kubectl."""

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        """Objects as JSON. Raises KitError for a context that there is not, and a cluster that does not answer."""
        ...


def check(workspace: Workspace, reader: Reader) -> None:
    """Raise KitError where the cluster cannot be asked, or has what another than this stack has made."""
    remembered = remains.remembered_types(workspace)
    for kind, plural, name in _TAKEN:
        # Also of what is ours: that is how an unknown context and a dead cluster are noticed in time.
        found = reader.get(plural, f"--field-selector=metadata.name={name}")
        if found and kind not in remembered:
            remove = with_context(f"kubectl delete {plural} {name}", workspace.context)
            raise KitError(
                f"the cluster has a {plural} {name} that this stack did not make: it would be changed,"
                " and removed with the stack",
                "the installation that made it goes on with its own PLM_STATE_DIR;"
                f" where nobody needs what is in it: {remove}",
                ExitCode.UNFIT_ENVIRONMENT,
            )
