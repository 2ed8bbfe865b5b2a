"""What buildah and skopeo are asked: nothing is pulled, nothing of the machine is used or stays in an image."""

from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.images import buildah
from plmkit.images.buildah import Buildah, Order
from support.paper_builder import PaperBuilder
from support.programs import put


def build(storage: Buildah, tmp_path: Path) -> None:
    containerfile = tmp_path / "Containerfile"
    containerfile.write_text("FROM scratch\n")
    storage.build(
        Order(
            containerfile=containerfile,
            context=tmp_path,
            reference="plm.local/nats",
            arguments={},
            contexts={"tools": tmp_path / "tools"},
        )
    )


def test_a_build_asks_no_registry_and_gives_equal_output_for_equal_input(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildah, "_AUTHORITIES", tmp_path / "nothing")
    build(storage, tmp_path)
    [words] = builder.asked
    assert words[:2] == ["buildah", "bud"]
    assert {"--layers=false", "--pull-never"} <= set(words)
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
    assert "finished images are kept" in failed.value.cure


@pytest.mark.parametrize("is_quick", [False, True])
def test_only_a_long_build_leaves_the_cores_to_others(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path, is_quick: bool
) -> None:
    """For a quick one somebody is waiting: plm dev."""
    put(builder.folder / "programs", "nice", f'touch {tmp_path / "nice"}; exec "$@"')
    order = Order(
        containerfile=tmp_path / "Containerfile",
        context=tmp_path,
        reference="plm.local/services",
        arguments={},
        contexts={},
        is_quick=is_quick,
    )
    order.containerfile.touch()
    storage.build(order)
    assert (tmp_path / "nice").exists() != is_quick


def test_without_a_configuration_of_its_own_it_touches_no_other_storage(
    builder: PaperBuilder, tmp_path: Path
) -> None:
    """Of the machine, say, where somebody else's images lie."""
    for work in (Buildah.clear_away, Buildah.forget_older):
        fresh = Buildah(tmp_path / work.__name__)
        work(fresh)
        assert (fresh.folder / "storage.conf").exists()
    assert [words[1] for words in builder.asked] == ["rm", "rmi"]


def test_a_builder_that_hangs_is_given_up(
    builder: PaperBuilder, storage: Buildah, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildah, "_ANSWER_WITHIN_S", 0.1)
    put(builder.folder / "programs", "buildah", "exec sleep 60")
    with pytest.raises(KitError, match="buildah inspect has not ended within"):
        storage.has("plm.local/nats")


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


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("x509: certificate signed by unknown authority", "/etc/containers/certs.d/r.example:5443"),
        ("unauthorized: authentication required", "skopeo login r.example:5443"),
        ("requested access to the resource is denied", "skopeo login r.example:5443"),
        ('Get "https://r.example:5443/v2/": no such host', "see that r.example:5443 is the reg"),
    ],
)
def test_a_registry_that_takes_nothing_is_named_with_what_it_said_and_what_helps(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path, said: str, cure: str
) -> None:
    logged = said.replace('"', '\\"')
    line = f'time="2026-01-02T03:04:05Z" level=fatal msg="{logged}"'
    script = f"cat >&2 <<'END'\ncopying\n{line}\nEND\nexit 1"
    put(builder.folder / "programs", "skopeo", script)
    with pytest.raises(KitError) as refused:
        storage.push(tmp_path / "layout", "plm.local/nats", "r.example:5443/plm/nats:k1")
    assert refused.value.what == f"r.example:5443/plm/nats:k1 was not pushed: {said}"
    assert refused.value.exit_code == ExitCode.UNFIT_ENVIRONMENT
    assert cure in refused.value.cure
    assert refused.value.cure.endswith("; then the same command again")
