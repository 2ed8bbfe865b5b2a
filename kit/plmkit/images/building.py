"""Builds what has changed, and brings images to where pods can start from them."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from plmkit.console import KitError
from plmkit.images import base, recipes
from plmkit.images.buildah import Buildah
from plmkit.images.layout import Layout
from plmkit.localcluster import LocalCluster
from plmkit.state import Places
from plmkit.turns import take_turn

_RECORD = "images.json"
_REFERENCES = "references.json"
_AT_ONCE = 2

Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """A built image. `seconds` is what its build took, also when that was earlier."""

    name: str
    key: str
    digest: str
    seconds: float

    @property
    def reference(self) -> str:
        """By digest: what a pod's manifest says."""
        return f"plm.local/{self.name}@{self.digest}" if self.digest else f"plm.local/{self.name}"


@dataclass(frozen=True)
class _Workshop:
    places: Places
    buildah: Buildah
    layout: Layout

    @property
    def record(self) -> Path:
        return self.places.cache / "images" / _RECORD

    def known(self) -> dict[str, Image]:
        """What was built, and where it was published is still there. A record that cannot be read is none."""
        try:
            found = json.loads(self.record.read_text())
            images = {name: Image(**raw) for name, raw in found.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}
        return {name: image for name, image in images.items() if self._is_there(image)}

    def _is_there(self, image: Image) -> bool:
        if not image.digest:
            return True
        kept = self.layout.descriptor(f"plm.local/{image.name}")
        return kept is not None and kept["digest"] == image.digest

    def remember(self, images: Mapping[str, Image]) -> None:
        _write(self.record, {name: asdict(image) for name, image in images.items()})
        published = {each.name for each in recipes.RECIPES if each.is_published}
        references = {name: images[name].reference for name in images if name in published}
        _write(self.record.with_name(_REFERENCES), references)


def _workshop(places: Places) -> _Workshop:
    folder = places.cache / "images"
    return _Workshop(places, Buildah(folder / "buildah"), Layout(folder / "layout"))


def _write(path: Path, value: object) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(value, indent=2))
    fresh.replace(path)


def ensure(places: Places, *, say: Say = lambda _text: None) -> dict[str, Image]:
    """Every image, up to date; what has not changed is not built. Raises KitError with the builder's last words."""
    shop = _workshop(places)
    waiting = "waiting: another plm is at the images"
    with take_turn(shop.record.with_name(".turn"), lambda: say(waiting)):
        return _bring_up_to_date(shop, say)


def _bring_up_to_date(shop: _Workshop, say: Say) -> dict[str, Image]:
    places = shop.places
    keys = recipes.keys(places.checkout, places.cache / "tools" / "bin", base.content_key())
    images = shop.known()
    shop.buildah.prepare()
    due = _due(shop, keys, images)
    if recipes.BASE in due:
        images[recipes.BASE] = _timed(recipes.BASE, keys, say, lambda: base.build(shop.buildah))
        shop.remember(images)
    _build(shop, [each for each in recipes.RECIPES if each.name in due], keys, images, say)
    return {each.name: images[each.name] for each in recipes.RECIPES if each.is_published}


def _due(shop: _Workshop, keys: Mapping[str, str], images: Mapping[str, Image]) -> set[str]:
    due = {name for name, key in keys.items() if name not in images or images[name].key != key}
    if due:
        # What the others stand on is in the builder's storage only, which may have been removed on its own.
        foundations = {each.stands_on for each in recipes.RECIPES if each.stands_on} - due
        due |= {name for name in foundations if not shop.buildah.has(f"plm.local/{name}")}
    return due


def _build(
    shop: _Workshop,
    due: list[recipes.Recipe],
    keys: Mapping[str, str],
    images: dict[str, Image],
    say: Say,
) -> None:
    first = [each for each in due if not each.is_published]
    rest = [each for each in due if each.is_published]
    for recipe in first:
        images[recipe.name] = _built(shop, recipe, keys, say)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        built = list(pool.map(lambda recipe: _built(shop, recipe, keys, say), rest))
    for image in built:
        # One after another: the layout's index is one file.
        shop.buildah.export(f"plm.local/{image.name}", shop.layout.folder)
        descriptor = shop.layout.descriptor(f"plm.local/{image.name}")
        if descriptor is None:
            raise KitError(f"{image.name} did not reach the layout", "plm images")
        images[image.name] = Image(image.name, image.key, descriptor["digest"], image.seconds)
    if due:
        shop.layout.keep_only({f"plm.local/{each.name}" for each in recipes.RECIPES if each.is_published})  # fmt: skip
        shop.remember(images)


def _timed(name: str, keys: Mapping[str, str], say: Say, build: Callable[[], None]) -> Image:
    say(f"building image {name}")
    began = time.monotonic()
    build()
    seconds = round(time.monotonic() - began, 1)
    say(f"built image {name} in {seconds:.0f} s")
    return Image(name, keys[name], "", seconds)


def _built(shop: _Workshop, recipe: recipes.Recipe, keys: Mapping[str, str], say: Say) -> Image:
    arguments = {recipe.argument: f"plm.local/{recipe.stands_on}"} if recipe.argument else {}
    checkout = shop.places.checkout

    def build() -> None:
        with tempfile.TemporaryDirectory(prefix="plm-tools-") as scratch:
            contexts = {}
            for tool in recipe.tools:
                # The folder of binaries holds links: a context is copied as it is.
                target = Path(scratch) / tool
                target.write_bytes((shop.places.cache / "tools" / "bin" / tool).read_bytes())
                target.chmod(0o755)
                contexts = {"tools": Path(scratch)}
            shop.buildah.build(
                checkout / recipe.containerfile,
                checkout,
                f"plm.local/{recipe.name}",
                arguments=arguments,
                contexts=contexts,
            )

    return _timed(recipe.name, keys, say, build)


def load(places: Places, cluster: LocalCluster, images: Mapping[str, Image]) -> list[str]:
    """Import into the embedded cluster what it lacks, layer by layer. Returns the names of what was imported."""
    shop = _workshop(places)
    present = set(cluster.ctr("images", "ls", "-q").split())
    missing = [image for image in images.values() if image.reference not in present]
    if not missing:
        return []
    layers = set(cluster.ctr("content", "ls", "-q").split())
    for image in missing:
        with tempfile.NamedTemporaryFile(prefix="plm-image-", suffix=".tar") as archive:
            shop.layout.delta(f"plm.local/{image.name}", image.reference, layers, archive)
            archive.flush()
            cluster.import_images([Path(archive.name)])
        layers |= set(shop.layout.layers(image.digest))
    return [image.name for image in missing]


def push(places: Places, registry: str, images: Mapping[str, Image]) -> dict[str, str]:
    """Copy the images to a registry. Returns their references there, by digest."""
    shop = _workshop(places)
    references = {}
    for image in images.values():
        target = f"{registry.rstrip('/')}/{image.name}"
        shop.buildah.push(shop.layout.folder, f"plm.local/{image.name}", f"{target}:{image.key}")
        references[image.name] = f"{target}@{image.digest}"
    return references
