"""Archives made from a handful of files: equal for equal input, and consistent from the index down to each file."""

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from plmkit import oci
from plmkit.oci import ImageSpec, RootFile

SPEC = ImageSpec(
    name="plm.local/pause:1",
    files={"/usr/bin/pause": RootFile(b"program", 0o755), "/etc/pause.conf": RootFile(b"")},
    entrypoint=("/usr/bin/pause",),
    command=("-v",),
    environment={"B": "2", "A": "1"},
    labels={"org.opencontainers.image.title": "pause"},
)


class Opened:
    """An archive, read the way a container runtime reads it: from the index down, every digest checked."""

    def __init__(self, content: bytes) -> None:
        self._files = {}
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive.getmembers():
                file = archive.extractfile(member)
                self._files[member.name] = file.read() if file else b""
        [self.pointer] = json.loads(self._files["index.json"])["manifests"]
        self.manifest = json.loads(self._blob(self.pointer))
        self.config = json.loads(self._blob(self.manifest["config"]))
        [layer] = self.manifest["layers"]
        self.layer_digest = layer["digest"]
        self.layer = self._blob(layer)

    def _blob(self, descriptor: dict[str, Any]) -> bytes:
        content = self._files[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert descriptor["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert descriptor["size"] == len(content)
        return content

    def members(self) -> dict[str, tarfile.TarInfo]:
        with tarfile.open(fileobj=io.BytesIO(self.layer)) as layer:
            return {member.name: member for member in layer.getmembers()}


def test_equal_input_gives_equal_bytes() -> None:
    reordered = replace(SPEC, files=dict(reversed(list(SPEC.files.items()))))
    assert oci.build(SPEC) == oci.build(reordered)


def test_every_digest_leads_to_what_it_names() -> None:
    archive = oci.build(SPEC)
    opened = Opened(archive.content)
    assert opened.pointer["digest"] == archive.manifest_digest
    assert opened.pointer["annotations"] == {"io.containerd.image.name": SPEC.name}
    assert opened.config["rootfs"]["diff_ids"] == [opened.layer_digest]


def test_the_image_runs_what_it_was_told_as_a_user_without_rights() -> None:
    config = Opened(oci.build(SPEC).content).config
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"] == {
        "Entrypoint": ["/usr/bin/pause"],
        "Cmd": ["-v"],
        "Env": ["A=1", "B=2"],
        "User": "65532:65532",
        "WorkingDir": "/",
        "Labels": {"org.opencontainers.image.title": "pause"},
    }


def test_the_root_has_folders_before_files_and_nobody_s_names_and_times() -> None:
    members = Opened(oci.build(SPEC).content).members()
    assert list(members) == ["etc", "usr", "usr/bin", "etc/pause.conf", "usr/bin/pause"]
    assert members["usr/bin/pause"].mode == 0o755
    assert members["etc/pause.conf"].mode == 0o644
    assert members["usr"].isdir()
    assert {(each.uid, each.gid, each.mtime, each.uname) for each in members.values()} == {
        (0, 0, 0, "")
    }


def test_a_static_program_is_an_image_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "coredns"
    program.write_bytes(b"elf")
    spec = oci.static_binary("plm.local/coredns:1", program, arguments=("-conf", "/etc/Corefile"))
    opened = Opened(oci.build(spec).content)
    assert list(opened.members()) == ["coredns"]
    assert opened.members()["coredns"].mode == 0o755
    assert opened.config["config"]["Entrypoint"] == ["/coredns"]
    assert opened.config["config"]["Cmd"] == ["-conf", "/etc/Corefile"]
