"""The OCI layout: archives that leave out what is there, and nothing kept that nobody names."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from plmkit.images.layout import Layout

NAME = "plm.local/services@sha256:0123"


def put_blob(layout: Layout, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    blobs = layout.folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def put_image(layout: Layout, reference: str, *layers: bytes) -> str:
    """Add an image; its manifest's digest."""
    config = put_blob(layout, b"config of " + reference.encode() + b"".join(layers))
    manifest = {"config": config, "layers": [put_blob(layout, layer) for layer in layers]}
    descriptor = put_blob(layout, json.dumps(manifest).encode())
    index = layout.folder / "index.json"
    known = json.loads(index.read_text())["manifests"] if index.exists() else []
    annotations = {"org.opencontainers.image.ref.name": reference}
    index.write_text(
        json.dumps({"manifests": [*known, {**descriptor, "annotations": annotations}]})
    )
    return str(descriptor["digest"])


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        return {
            member.name: file.read()
            for member in found.getmembers()
            if (file := found.extractfile(member)) is not None
        }


def delta(layout: Layout, digest: str, *present: str) -> dict[str, bytes]:
    into = io.BytesIO()
    layout.delta(digest, NAME, set(present), into)
    return contents(into.getvalue())


def blobs(layout: Layout) -> set[str]:
    return {f"sha256:{path.name}" for path in (layout.folder / "blobs" / "sha256").iterdir()}


def test_an_empty_layout_has_no_images(layout: Layout) -> None:
    assert layout.descriptor("services") is None
    with pytest.raises(KeyError, match="sha256:01"):
        layout.delta("sha256:01", NAME, set(), io.BytesIO())


def test_layers_are_told_from_below(layout: Layout) -> None:
    digest = put_image(layout, "services", b"base", b"venv", b"code")
    expected = [
        f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (b"base", b"venv", b"code")
    ]
    assert layout.layers(digest) == expected


def test_an_archive_holds_all_of_an_image_under_the_name_it_is_to_have(layout: Layout) -> None:
    digest = put_image(layout, "services", b"base", b"code")
    put_image(layout, "operator", b"base", b"other code")
    put_image(layout, "services", b"base", b"newer code")
    found = delta(layout, digest)
    [pointer] = json.loads(found["index.json"])["manifests"]
    assert pointer["digest"] == digest
    assert pointer["annotations"] == {"io.containerd.image.name": NAME}
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, content in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    assert sorted(content for content in found.values() if content in {b"base", b"code"}) == [
        b"base",
        b"code",
    ]
    assert b"other code" not in found.values()


def test_layers_that_are_there_are_left_out_and_manifest_and_configuration_never(
    layout: Layout,
) -> None:
    digest = put_image(layout, "services", b"base", b"code")
    base, code = layout.layers(digest)
    found = delta(layout, digest, base, digest)
    names = {f"sha256:{name.rpartition('/')[2]}" for name in found if name.startswith("blobs/")}
    config = json.loads(found[f"blobs/sha256/{digest.removeprefix('sha256:')}"])["config"]["digest"]
    assert names == {digest, config, code}


def test_the_newest_of_a_name_counts_and_older_ones_are_forgotten(layout: Layout) -> None:
    old = put_image(layout, "services", b"base", b"old code")
    new = put_image(layout, "services", b"base", b"new code")
    other = put_image(layout, "operator", b"base", b"operator")
    gone = put_image(layout, "removed", b"base", b"removed")
    found = layout.descriptor("services")
    assert found is not None
    assert found["digest"] == new
    kept = {new, other, *layout.layers(new), *layout.layers(other)}
    layout.keep_only({"services", "operator", "never-built"})
    assert kept <= blobs(layout)
    assert blobs(layout).isdisjoint({old, gone})
    # Two images of three blobs besides the layer that they share, and that layer.
    assert len(blobs(layout)) == 2 * 3 + 1
    assert delta(layout, new)
    assert layout.descriptor("removed") is None


def test_keeping_twice_and_keeping_after_a_kill_end_the_same(layout: Layout) -> None:
    put_image(layout, "services", b"old code")
    put_image(layout, "services", b"new code")
    (layout.folder / "index.json.new").write_text("half of")
    for _ in range(2):
        layout.keep_only({"services"})
        assert len(blobs(layout)) == 3
    assert not (layout.folder / "index.json.new").exists()
