"""What buildah and skopeo are asked: nothing is pulled, nothing of the machine is used or stays in an image."""

from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.images import buildah
from plmkit.images.buildah import Buildah
from support.paper_builder import PaperBuilder
from support.programs import put


def build(storage: Buildah, tmp_path: Path) -> None:
    containerfile = tmp_path / "Containerfile"
    containerfile.write_text("FROM scratch\n")
    storage.build(
        containerfile,
        tmp_path,
        "plm.local/nats",
        arguments={},
        contexts={"tools": tmp_path / "tools"},
    )


def test_a_build_asks_no_registry_and_gives_equal_output_for_equal_input(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildah, "_AUTHORITIES", tmp_path / "nothing")
    build(storage, tmp_path)
    [words] = builder.asked
    assert words[:2] == ["buildah", "bud"]
    assert {"--layers", "--pull-never"} <= set(words)
    assert words[words.index("--isolation") + 1] == "chroot"
    assert words[words.index("--timestamp") + 1] == "0"
    assert f"--build-context=tools={tmp_path / 'tools'}" in words
    assert words[-1] == str(tmp_path)
    assert [word for word in words if word.startswith("--secret")] == []


def test_the_machine_s_authorities_are_lent_and_not_copied(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorities = tmp_path / "ca-certificates.crt"
    authorities.touch()
    monkeypatch.setattr(buildah, "_AUTHORITIES", authorities)
    build(storage, tmp_path)
    [words] = builder.asked
    assert f"--secret=id=host_ca,src={authorities}" in words


def test_storage_and_configuration_are_our_own(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path
) -> None:
    put(
        builder.folder / "programs",
        "buildah",
        f'echo "$CONTAINERS_STORAGE_CONF $CONTAINERS_REGISTRIES_CONF" > {tmp_path / "seen"}',
    )
    storage.has("plm.local/nats")
    seen = [Path(word) for word in (tmp_path / "seen").read_text().split()]
    assert seen == [storage.folder / "storage.conf", storage.folder / "registries.conf"]
    assert f'graphroot = "{storage.folder}/storage"' in seen[0].read_text()
    assert 'skip_mount_home = "true"' in seen[0].read_text(), "no mount is left behind"
    assert "unqualified-search-registries = []" in seen[1].read_text()


def test_a_failed_build_tells_the_builder_s_last_words_and_that_nothing_is_lost(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path
) -> None:
    lines = "".join(f"echo line {number};" for number in range(40))
    put(builder.folder / "programs", "buildah", f"{lines} echo 'error: E42' >&2; exit 1")
    with pytest.raises(KitError, match="error: E42") as failed:
        build(storage, tmp_path)
    assert "line 39" in failed.value.what
    assert "line 3\n" not in failed.value.what
    assert "finished layers are kept" in failed.value.cure


def test_images_leave_uncompressed_for_the_cluster_and_with_their_digest_for_a_registry(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path
) -> None:
    build(storage, tmp_path)
    builder.forget()
    storage.export("plm.local/nats", tmp_path / "layout")
    storage.push(tmp_path / "layout", "plm.local/nats", "registry.example/plm/nats:k1")
    export, push = builder.asked
    assert "--dest-oci-accept-uncompressed-layers" in export
    assert export[-2:] == [
        "containers-storage:plm.local/nats",
        f"oci:{tmp_path / 'layout'}:plm.local/nats",
    ]
    assert "--preserve-digests" in push, "or the references would name what is not there"
    assert push[-2:] == [
        f"oci:{tmp_path / 'layout'}:plm.local/nats",
        "docker://registry.example/plm/nats:k1",
    ]
