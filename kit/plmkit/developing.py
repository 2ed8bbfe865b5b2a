"""One round of `plm dev`: what has changed is built, imported, and brought into the pods that run it."""

from collections.abc import Callable
from dataclasses import dataclass

from plmkit import images, rolling
from plmkit.console import say
from plmkit.kubectl import find_kubectl
from plmkit.localcluster import LocalCluster
from plmkit.stack import Workspace, making


@dataclass(frozen=True)
class Round:
    """What it rolled; by Pulumi where patches would not do, and then why."""

    rolled: tuple[str, ...]
    why_pulumi: str = ""


def bring(workspace: Workspace, deploy: Callable[[Workspace], None]) -> Round:
    """Bring the embedded cluster up to date with the checkout. `deploy`: how Pulumi does it."""
    places = workspace.places
    built = images.ensure(places, say=say, keep_older=True)
    images.load(places, LocalCluster(places, places.cache / "tools" / "bin"), built)
    references = {name: image.reference for name, image in built.items()}
    # The stack must say what runs, or the next `plm up` would take it back.
    making.set_images(workspace, references)
    kubectl = find_kubectl(places, None)
    objects = rolling.look(kubectl)
    patches = rolling.outdated(objects, references)
    why = rolling.beyond_patches(objects, references, images.carried_migrations(places))
    if why:
        say(f"{why}: that is Pulumi's work")
        deploy(workspace)
    elif patches:
        # And the next `plm up` must look for itself at what runs.
        workspace.rolled.touch()
        rolling.roll(kubectl, patches)
    return Round(tuple(patches), why)


def tidy(workspace: Workspace) -> None:
    """Remove what this round has replaced; when nobody waits any more."""
    images.forget_older(workspace.places)
