"""What is delivered is what was built: nothing newer under an older digest, whoever builds meanwhile."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from plmkit import images
from plmkit.console import KitError
from plmkit.images import Image
from plmkit.images.workshop import turn, workshop
from plmkit.localcluster import LocalCluster
from plmkit.state import Places
from support.paper_builder import PaperBuilder
from support.waiting import wait_until

REGISTRY = "registry.example/plm"
NAME = "plm.local/services"


@dataclass
class PaperCluster:
    """Has nothing, and takes every archive."""

    imported: list[str] = field(default_factory=list)

    def ctr(self, *_words: str) -> str:
        return ""

    def import_images(self, archives: list[Path]) -> None:
        self.imported += [archive.name for archive in archives]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "checkout", tmp_path / "cache", tmp_path / "state")


@pytest.fixture
def publish(builder: PaperBuilder, places: Places) -> Callable[[str], dict[str, Image]]:
    """Have the builder put an image with these contents into the layout."""
    shop = workshop(places)
    context = places.checkout
    context.mkdir()
    (context / "Containerfile").touch()
    shop.layout.folder.mkdir(parents=True)

    def made(content: str) -> dict[str, Image]:
        (context / "content-services").write_text(content)
        shop.buildah.run(
            "buildah", "bud", "--file", str(context / "Containerfile"), "--tag", NAME, str(context)
        )
        shop.buildah.export(NAME, shop.layout.folder)
        kept = cast("dict[str, Any]", shop.layout.descriptor(NAME))
        return {"services": Image("services", "k1", kept["digest"], 1.0)}

    return made


def load(places: Places, cluster: PaperCluster, built: dict[str, Image]) -> list[str]:
    return images.load(places, cast("LocalCluster", cluster), built)


def pushes(builder: PaperBuilder) -> list[str]:
    return [words[-1] for words in builder.asked if words[-1].startswith("docker://")]


def test_what_was_built_is_imported_and_pushed(
    builder: PaperBuilder, places: Places, publish: Callable[[str], dict[str, Image]]
) -> None:
    built = publish("code")
    cluster = PaperCluster()
    assert load(places, cluster, built) == ["services"]
    assert cluster.imported == ["services.tar"]
    told = images.push(places, REGISTRY, built)
    assert told == {"services": f"{REGISTRY}/services@{built['services'].digest}"}
    assert pushes(builder) == [f"docker://{REGISTRY}/services:k1"]


def test_what_another_has_replaced_meanwhile_is_neither_imported_nor_pushed(
    builder: PaperBuilder, places: Places, publish: Callable[[str], dict[str, Image]]
) -> None:
    """Under the old digest pods would run the new code."""
    built = publish("code")
    publish("newer code")
    cluster = PaperCluster()
    with pytest.raises(KitError, match="newer image services"):
        load(places, cluster, built)
    with pytest.raises(KitError, match="newer image services"):
        images.push(places, REGISTRY, built)
    assert cluster.imported == []
    assert pushes(builder) == []


def test_nothing_is_pushed_while_another_builds(
    builder: PaperBuilder, places: Places, publish: Callable[[str], dict[str, Image]]
) -> None:
    built = publish("code")
    said: list[str] = []
    pushing = threading.Thread(target=lambda: images.push(places, REGISTRY, built, say=said.append))
    with turn(workshop(places), said.append):
        pushing.start()
        wait_until(lambda: bool(said or pushes(builder)), 20, "it waits, or pushes")
        assert pushes(builder) == []
    pushing.join(20)
    assert said == ["waiting: another plm is at the images"]
    assert len(pushes(builder)) == 1
