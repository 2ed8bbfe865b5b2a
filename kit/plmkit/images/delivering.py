"""Brings images to where pods can start from them: into the embedded cluster as a delta, or to a registry."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from plmkit import registries
from plmkit.console import KitError
from plmkit.console import say as say_aloud
from plmkit.images.workshop import Image, Say, Workshop, turn, workshop
from plmkit.localcluster import LocalCluster
from plmkit.state import Places


def load(
    places: Places, cluster: LocalCluster, images: Mapping[str, Image], *, say: Say = say_aloud
) -> list[str]:
    """Import into the embedded cluster what it lacks, layer by layer. Returns the names of what was imported."""
    shop = workshop(places)
    questions = (("images", "ls", "-q"), ("content", "ls", "-q"))
    with ThreadPoolExecutor(len(questions)) as pool:
        present, known = pool.map(lambda words: cluster.ctr(*words).split(), questions)
    missing = [image for image in images.values() if image.reference not in present]
    layers = set(known)
    if not missing:
        return []
    with turn(shop, say):
        shop.buildah.scratch.mkdir(parents=True, exist_ok=True)
        for image in missing:
            _check_kept(shop, image)
            archive = shop.buildah.scratch / f"{image.name}.tar"
            with archive.open("wb") as file:
                shop.layout.delta(image.digest, image.reference, layers, file)
            cluster.import_images([archive])
            archive.unlink()
            layers |= set(shop.layout.layers(image.digest))
    return [image.name for image in missing]


def push(
    places: Places, registry: str, images: Mapping[str, Image], *, say: Say = say_aloud
) -> dict[str, str]:
    """Copy the images to a registry. Returns their references there, by digest."""
    registries.check(registry)
    shop = workshop(places)
    references = {}
    with turn(shop, say):
        for image in images.values():
            _check_kept(shop, image)
            name, target = f"plm.local/{image.name}", f"{registry.rstrip('/')}/{image.name}"
            shop.buildah.push(shop.layout.folder, name, f"{target}:{image.key}")
            references[image.name] = f"{target}@{image.digest}"
    return references


def _check_kept(shop: Workshop, image: Image) -> None:
    """The turn was somebody else's since it was built: pods would get another image under its digest."""
    if not shop.has(image):
        raise KitError(
            f"another plm has built a newer image {image.name} meanwhile", "the same command again"
        )
