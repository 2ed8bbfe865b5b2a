"""Images are built when something in them has changed, in order, once; and reach the cluster layer by layer."""

import shutil
import tarfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from plmkit import images
from plmkit.console import KitError
from plmkit.images import Image, base, recipes
from plmkit.images.layout import Layout
from plmkit.images.workshop import workshop
from plmkit.localcluster import LocalCluster
from plmkit.state import Places
from support.paper_builder import PaperBuilder, furnish, put_builder, read_json

PUBLISHED = ["nats", "caddy", "postgres", "services", "operator"]
FOUNDATIONS = ["python", "services-environment", "operator-environment"]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return furnish(tmp_path)


@pytest.fixture(scope="module")
def first_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all was built, for those tests that go on from there: each build is dozens of processes."""
    folder = tmp_path_factory.mktemp("first-build")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in put_builder(folder / "builder").variables.items():
            patch.setenv(name, value)
        images.ensure(furnish(folder))
    return folder


@pytest.fixture
def built(builder: PaperBuilder, places: Places, first_build: Path) -> dict[str, Image]:
    """All images, of an earlier run."""
    shutil.copytree(first_build / "builder" / "storage", builder.folder / "storage")
    shutil.copytree(first_build / "cache" / "images", places.cache / "images")
    found = images.ensure(places)
    assert builder.asked == [], "what lies elsewhere was built anew"
    return found


class PaperCluster(LocalCluster):
    """containerd as sets of names and digests; keeps the files of each archive."""

    def __init__(self, *, names: Sequence[str] = (), layers: Sequence[str] = ()) -> None:
        self.names, self.layers = list(names), list(layers)
        self.imported: list[set[str]] = []

    def ctr(self, *arguments: str) -> str:
        return "\n".join(self.names if arguments[0] == "images" else self.layers)

    def import_images(self, archives: Sequence[Path]) -> None:
        for archive in archives:
            with tarfile.open(archive) as found:
                self.imported.append(set(found.getnames()))


def edit(places: Places, path: str) -> None:
    (places.checkout / path).write_text("changed\n")


def test_from_nothing_all_are_built_what_others_stand_on_first(
    builder: PaperBuilder, places: Places
) -> None:
    told: list[str] = []
    built = images.ensure(places, say=told.append)
    assert list(built) == PUBLISHED
    assert sorted(builder.built) == sorted([*FOUNDATIONS, *PUBLISHED])
    turns = {name: number for number, name in enumerate(builder.built)}
    for recipe in recipes.RECIPES:
        assert turns.get(recipe.stands_on, -1) < turns[recipe.name], recipe.name
    begun = [text for text in told if text.startswith("building")]
    assert begun[0] == "building image debian"
    for name, image in built.items():
        assert image.reference == f"plm.local/{name}@{image.digest}"
        assert image.digest.startswith("sha256:")
    references = read_json(places.cache / "images" / "references.json")
    assert references == {name: image.reference for name, image in built.items()}


def test_again_nothing_is_asked_of_anyone(
    builder: PaperBuilder, places: Places, built: dict[str, Image]
) -> None:
    assert images.ensure(places) == built
    assert builder.asked == []


def test_only_what_changed_is_built_and_older_content_is_forgotten(
    builder: PaperBuilder, places: Places, built: dict[str, Image]
) -> None:
    first = built
    edit(places, "images/services/Containerfile")
    second = images.ensure(places)
    assert builder.built == ["services"]
    assert {name for name in PUBLISHED if first[name] != second[name]} == {"services"}
    kept = {path.name for path in (places.cache / "images/layout/blobs/sha256").iterdir()}
    assert first["services"].digest.removeprefix("sha256:") not in kept
    assert second["services"].digest.removeprefix("sha256:") in kept


def test_a_tool_goes_into_its_image_as_a_file_that_can_be_run(first_build: Path) -> None:
    contexts = {
        words[words.index("--tag") + 1]: word
        for words in PaperBuilder(first_build / "builder").asked
        if words[1] == "bud"
        for word in words
        if word.startswith("--build-context=")
    }
    assert set(contexts) == {"plm.local/nats", "plm.local/caddy"}
    assert all(word.startswith("--build-context=tools=") for word in contexts.values())


@pytest.mark.parametrize(
    "step",
    [
        "mmdebstrap",
        "--tag plm.local/python",
        "--tag plm.local/services",
        "oci:",
    ],
)
def test_a_step_that_fails_leaves_the_next_run_to_go_on(
    builder: PaperBuilder, places: Places, step: str
) -> None:
    builder.refuse(step)
    with pytest.raises(KitError, match="no space left"):
        images.ensure(places)
    builder.refuse("")
    record = places.cache / "images" / "images.json"
    finished = set(read_json(record)) if record.exists() else set()
    builder.forget()
    built = images.ensure(places)
    assert list(built) == PUBLISHED
    assert finished.isdisjoint(builder.built), "it was finished"
    assert len({*finished, *builder.built}) >= len({*FOUNDATIONS, *PUBLISHED})
    builder.forget()
    assert images.ensure(places) == built
    assert builder.asked == []


def test_what_was_built_on_yesterday_s_base_is_built_anew(
    builder: PaperBuilder,
    places: Places,
    built: dict[str, Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "content_key", lambda: "another")
    images.ensure(places)
    assert builder.built[0] == "python"
    assert set(builder.built) == {*FOUNDATIONS, "services", "operator", "postgres"}


def test_a_record_that_cannot_be_read_is_none(builder: PaperBuilder, places: Places) -> None:
    record = places.cache / "images" / "images.json"
    record.parent.mkdir()
    for text in ("{", "[]", '{"nats": {"name": "nats"}}', '{"nats": 1}', ""):
        record.write_text(text)
        assert workshop(places).known() == {}, text
    assert list(images.ensure(places)) == PUBLISHED


@pytest.mark.parametrize("left", [0, 100])
def test_an_index_that_was_cut_off_costs_what_it_named(
    builder: PaperBuilder, places: Places, built: dict[str, Image], left: int
) -> None:
    """By a kill: skopeo writes it in place, and adds to it only where it is whole."""
    index = places.cache / "images" / "layout" / "index.json"
    index.write_text(index.read_text()[:left])
    again = images.ensure(places)
    assert [again[name].digest for name in PUBLISHED] == [built[name].digest for name in PUBLISHED]
    assert sorted(builder.built) == sorted(PUBLISHED)
    kept = Layout(index.parent)
    assert all(kept.descriptor(f"plm.local/{name}") for name in PUBLISHED)


def test_parts_of_the_cache_may_be_removed_on_their_own(
    builder: PaperBuilder, places: Places, built: dict[str, Image]
) -> None:
    """The cache may be deleted at any time; nobody says that it is deleted whole."""
    layout = places.cache / "images" / "layout"
    layout.rename(layout.with_name("gone"))
    assert all(Layout(layout).descriptor(f"plm.local/{name}") for name in images.ensure(places))

    for stored in (builder.folder / "storage").iterdir():
        stored.unlink()
    builder.forget()
    edit(places, "images/services/Containerfile")
    images.ensure(places)
    assert builder.built == ["python", "services-environment", "services"]


def test_two_at_once_build_once(builder: PaperBuilder, places: Places) -> None:
    told: list[str] = []
    threads = [
        threading.Thread(target=images.ensure, args=(places,), kwargs={"say": told.append})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(builder.built) == sorted([*FOUNDATIONS, *PUBLISHED])
    assert told.count("waiting: another plm is at the images") == 1


def test_a_cluster_gets_what_it_lacks_and_no_layer_twice(
    places: Places, built: dict[str, Image]
) -> None:
    layout = Layout(places.cache / "images" / "layout")
    shared, *_ = layout.layers(built["services"].digest)
    cluster = PaperCluster(names=[built["nats"].reference], layers=[shared])
    lacking = [name for name in PUBLISHED if name != "nats"]
    assert images.load(places, cluster, built) == lacking
    sent = [name for archive in cluster.imported for name in archive if name.startswith("blobs/")]
    assert len(sent) == len(set(sent)), "a layer that two images share was sent twice"
    assert f"blobs/sha256/{shared.removeprefix('sha256:')}" not in sent

    full = PaperCluster(names=[image.reference for image in built.values()])
    assert images.load(places, full, built) == []
    assert full.imported == []


def test_a_saved_file_costs_one_layer(places: Places, built: dict[str, Image]) -> None:
    layout = Layout(places.cache / "images" / "layout")
    known = [layer for image in built.values() for layer in layout.layers(image.digest)]
    names = [image.reference for image in built.values()]
    (places.checkout / "content-services").write_text("saved\n")
    edit(places, "services/plm/code.py")
    cluster = PaperCluster(names=names, layers=known)
    again = images.ensure(places)
    assert images.load(places, cluster, again) == ["services"]
    [archive] = cluster.imported
    # Manifest, configuration and the layer of our own code.
    assert len([name for name in archive if name.startswith("blobs/")]) == 3


def test_a_registry_gets_them_under_their_keys_and_we_name_them_by_digest(
    builder: PaperBuilder, places: Places, built: dict[str, Image]
) -> None:
    references = images.push(places, "registry.example/plm/", built)
    assert references == {
        name: f"registry.example/plm/{name}@{image.digest}" for name, image in built.items()
    }
    targets = [words[-1] for words in builder.asked]
    assert targets == [
        f"docker://registry.example/plm/{name}:{image.key}" for name, image in built.items()
    ]


def test_a_reference_without_a_digest_is_a_name() -> None:
    image = Image("nats", "key", "sha256:01", 0.2)
    assert replace(image, digest="").reference == "plm.local/nats"
