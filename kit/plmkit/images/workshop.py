"""Where images are made: the builder's storage, the shared layout, and what is known of earlier builds."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from plmkit.images import recipes
from plmkit.images.buildah import Buildah
from plmkit.images.layout import Layout
from plmkit.state import Places
from plmkit.turns import take_turn

_RECORD = "images.json"
_REFERENCES = "references.json"
_MIGRATIONS = "migrations.json"
_NOTED_MAX = 200
PUBLISHED = tuple(each.name for each in recipes.RECIPES if each.is_published)

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
class Workshop:
    """One cache's."""

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
        return {name: image for name, image in images.items() if self.has(image)}

    def has(self, image: Image) -> bool:
        """Whether it is still the one of its name, where it was published."""
        if not image.digest:
            return True
        kept = self.layout.descriptor(f"plm.local/{image.name}")
        return kept is not None and kept["digest"] == image.digest

    def remember(self, images: Mapping[str, Image]) -> None:
        """What is finished: whatever becomes of the others, it is not built again."""
        _write(self.record, {name: asdict(image) for name, image in images.items()})

    def tell(self, images: Mapping[str, Image]) -> None:
        """How pods name the images, once there are all of them."""
        references = {name: images[name].reference for name in PUBLISHED}
        _write(self.record.with_name(_REFERENCES), references)

    def migrations(self) -> dict[str, str]:
        """What `note_migrations` has noted."""
        try:
            found = json.loads(self.record.with_name(_MIGRATIONS).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return dict(found) if isinstance(found, dict) else {}

    def note_migrations(self, digest: str, key: str) -> None:
        """Which migrations an image carries: of an older one that still runs nobody could tell any more."""
        noted = {**self.migrations(), digest: key}
        lately = dict(list(noted.items())[-_NOTED_MAX:])
        _write(self.record.with_name(_MIGRATIONS), lately)


def workshop(places: Places) -> Workshop:
    """That of these places; nothing is made yet."""
    folder = places.cache / "images"
    return Workshop(places, Buildah(folder / "buildah"), Layout(folder / "layout"))


def _write(path: Path, value: object) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(value, indent=2))
    fresh.replace(path)


@contextmanager
def turn(shop: Workshop, say: Say) -> Iterator[None]:
    """Alone at the images; what is left of a turn that was cut off is put away."""
    waiting = "waiting: another plm is at the images"
    # A builder that was stopped does nothing more.
    cleaner = Buildah(shop.buildah.folder)
    with take_turn(shop.record.with_name(".turn"), lambda: say(waiting)):
        if cleaner.scratch.exists():
            cleaner.clear_away()
        try:
            yield
        except BaseException:
            cleaner.clear_away()
            raise
        shutil.rmtree(cleaner.scratch, ignore_errors=True)
