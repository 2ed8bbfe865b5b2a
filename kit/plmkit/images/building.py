"""Builds the images that have changed, in the order in which they stand on each other."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from plmkit.console import KitError
from plmkit.images import base, recipes
from plmkit.images.buildah import Order
from plmkit.images.workshop import PUBLISHED, Image, Say, Workshop, turn, workshop
from plmkit.state import Places

_AT_ONCE = 2
_MIGRATING = {each.name for each in recipes.RECIPES if recipes.MIGRATIONS in each.sources}


def ensure(
    places: Places, *, say: Say = lambda _text: None, keep_older: bool = False
) -> dict[str, Image]:
    """Every image, up to date; what has not changed is not built. Raises KitError with the builder's last words.

    With `keep_older` the builder keeps what it had before, until `forget_older`: somebody is waiting for the images.
    """
    shop = workshop(places)
    with turn(shop, say):
        return _bring_up_to_date(shop, say, keep_older=keep_older)


def forget_older(places: Places) -> None:
    """Remove from the builder's storage what newer images have replaced."""
    shop = workshop(places)
    with turn(shop, lambda _text: None):
        shop.buildah.forget_older()


def _bring_up_to_date(shop: Workshop, say: Say, *, keep_older: bool) -> dict[str, Image]:
    places = shop.places
    keys = recipes.keys(places.checkout, places.cache / "tools" / "bin", base.content_key())
    shop.layout.drop_torn_index()
    images = shop.known()
    shop.buildah.prepare()
    due = _due(shop, keys, images)
    if due:
        shop.buildah.scratch.mkdir(exist_ok=True)
    if recipes.BASE in due:
        images[recipes.BASE] = _timed(recipes.BASE, keys, say, lambda: base.build(shop.buildah))
        shop.remember(images)
    _build(shop, _Wanted(keys, recipes.migrations_key(places.checkout), say), due, images)
    if due:
        shop.layout.keep_only({f"plm.local/{name}" for name in PUBLISHED})
        if not keep_older:
            shop.buildah.forget_older()
    shop.tell(images)
    return {name: images[name] for name in PUBLISHED}


def _due(shop: Workshop, keys: Mapping[str, str], images: Mapping[str, Image]) -> set[str]:
    due = {name for name, key in keys.items() if name not in images or images[name].key != key}
    # What another stands on is in the builder's storage only, which may have been removed on its own.
    for recipe in reversed(recipes.RECIPES):
        below = recipe.stands_on
        if recipe.name in due and below and below not in due:
            due |= {below} if not shop.buildah.has(f"plm.local/{below}") else set()
    return due


@dataclass(frozen=True)
class _Wanted:
    """What is to be built: keys of all images and of the migrations; and who is told."""

    keys: Mapping[str, str]
    migrations: str
    say: Say


def _build(shop: Workshop, wanted: _Wanted, due: set[str], images: dict[str, Image]) -> None:
    """In rounds, each of what stands on nothing that is still to be built. One that fails does not cost the others."""
    waiting = [each for each in recipes.RECIPES if each.name in due]
    while waiting:
        names = {each.name for each in waiting}
        ready = [each for each in waiting if each.stands_on not in names]
        waiting = [each for each in waiting if each not in ready]
        failures = []
        for built in _built_at_once(shop, wanted, ready):
            if isinstance(built, KitError):
                failures.append(built)
                continue
            images[built.name] = _published(shop, wanted, built)
            shop.remember(images)
        if failures:
            raise failures[0]


def _built_at_once(
    shop: Workshop, wanted: _Wanted, ready: list[recipes.Recipe]
) -> Iterator[Image | KitError]:
    """The images of one round, in its order, each as soon as it is there; or why it is not."""

    def build(recipe: recipes.Recipe) -> Image | KitError:
        try:
            return _built(shop, recipe, wanted)
        except KitError as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            yield from pool.map(build, ready)
        except BaseException:
            # Else leaving the pool waits for builds that nobody wants any more.
            shop.buildah.stop.set()
            raise


def _published(shop: Workshop, wanted: _Wanted, image: Image) -> Image:
    """The image with its digest in the layout; one that only others stand on as it is."""
    if image.name not in PUBLISHED:
        return image
    # One after another: the layout's index is one file.
    shop.buildah.export(f"plm.local/{image.name}", shop.layout.folder)
    descriptor = shop.layout.descriptor(f"plm.local/{image.name}")
    if descriptor is None:
        raise KitError(f"{image.name} did not reach the layout", "plm images")
    if image.name in _MIGRATING:
        shop.note_migrations(descriptor["digest"], wanted.migrations)
    return replace(image, digest=descriptor["digest"])


def _timed(name: str, keys: Mapping[str, str], say: Say, build: Callable[[], None]) -> Image:
    say(f"building image {name}")
    began = time.monotonic()
    build()
    seconds = round(time.monotonic() - began, 1)
    say(f"built image {name} in {seconds:.0f} s")
    return Image(name, keys[name], "", seconds)


def _built(shop: Workshop, recipe: recipes.Recipe, wanted: _Wanted) -> Image:
    arguments = {recipe.argument: f"plm.local/{recipe.stands_on}"} if recipe.argument else {}
    checkout = shop.places.checkout

    def build() -> None:
        contexts = {}
        if recipe.tools:
            # The folder of binaries holds links: a context is copied as it is.
            folder = shop.buildah.scratch / recipe.name
            folder.mkdir()
            for tool in recipe.tools:
                target = folder / tool
                target.write_bytes((shop.places.cache / "tools" / "bin" / tool).read_bytes())
                target.chmod(0o755)
            contexts = {"tools": folder}
        order = Order(
            containerfile=checkout / recipe.containerfile,
            context=checkout,
            reference=f"plm.local/{recipe.name}",
            arguments=arguments,
            contexts=contexts,
            is_quick=recipe.is_quick,
        )
        shop.buildah.build(order)

    return _timed(recipe.name, wanted.keys, wanted.say, build)


def carried_migrations(places: Places) -> dict[str, str]:
    """The migrations' key of every image of services that was built lately, by its digest."""
    return workshop(places).migrations()
