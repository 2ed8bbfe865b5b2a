"""The shared OCI layout: which image has which digest, and an archive of one that leaves out layers already there."""

import io
import json
import tarfile
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_REFERENCE = "org.opencontainers.image.ref.name"
_NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class Layout:
    """One layout folder."""

    folder: Path

    @property
    def _index_file(self) -> Path:
        return self.folder / "index.json"

    def _index(self) -> list[dict[str, Any]]:
        try:
            manifests: list[dict[str, Any]] = json.loads(self._index_file.read_text())["manifests"]
        except (FileNotFoundError, ValueError):
            return []
        return manifests

    def drop_torn_index(self) -> None:
        """One whose writing was cut off, as skopeo does it in place: it names no image, and takes none up."""
        if not self._index():
            self._index_file.unlink(missing_ok=True)

    def _blob(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def descriptor(self, reference: str) -> dict[str, Any] | None:
        """The newest manifest of this name."""
        named = [
            each
            for each in self._index()
            if each.get("annotations", {}).get(_REFERENCE) == reference
        ]
        return named[-1] if named else None

    def layers(self, digest: str) -> list[str]:
        """Digests of a manifest's layers, lowest first."""
        manifest = json.loads(self._blob(digest).read_text())
        return [layer["digest"] for layer in manifest["layers"]]

    def delta(self, digest: str, name: str, present: AbstractSet[str], into: IO[bytes]) -> None:
        """Write an importable archive of an image under `name`, without the layers that are present."""
        # By digest: the newest of its name may be another by now.
        descriptor = next((each for each in self._index() if each["digest"] == digest), None)
        if descriptor is None:
            raise KeyError(digest)
        manifest = json.loads(self._blob(digest).read_text())
        wanted = [digest, manifest["config"]["digest"]]
        wanted += [each for each in self.layers(digest) if each not in present]
        pointer = {**descriptor, "annotations": {_NAME: name}}
        with tarfile.open(fileobj=into, mode="w") as archive:
            _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            index = {"schemaVersion": 2, "manifests": [pointer]}
            _add(archive, "index.json", json.dumps(index).encode())
            for each in wanted:
                blob = self._blob(each)
                archive.add(blob, f"blobs/sha256/{blob.name}", recursive=False)

    def keep_only(self, references: AbstractSet[str]) -> None:
        """Forget older images of each name, and the blobs that nothing names any more."""
        newest = {reference: self.descriptor(reference) for reference in sorted(references)}
        kept = [each for each in newest.values() if each is not None]
        index = {"schemaVersion": 2, "manifests": kept}
        fresh = self.folder / "index.json.new"
        fresh.write_text(json.dumps(index))
        fresh.replace(self._index_file)
        used = {each["digest"] for each in kept}
        for each in list(used):
            manifest = json.loads(self._blob(each).read_text())
            used |= {manifest["config"]["digest"], *self.layers(each)}
        names = {each.removeprefix("sha256:") for each in used}
        for blob in (self.folder / "blobs" / "sha256").iterdir():
            if blob.name not in names:
                blob.unlink()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
