"""OCI image archives from a handful of files, without registry, daemon or build tool. Equal input gives equal bytes."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EPOCH = "1970-01-01T00:00:00Z"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class RootFile:
    """One file of the image's root: what it holds and its permission bits."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """What an image is made of. Keys of `files` are absolute paths; folders appear by themselves."""

    name: str
    files: Mapping[str, RootFile]
    entrypoint: Sequence[str]
    command: Sequence[str] = ()
    user: str = "65532:65532"
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"


@dataclass(frozen=True)
class Archive:
    """An importable archive and the digest of the manifest in it."""

    content: bytes
    manifest_digest: str


def build(spec: ImageSpec) -> Archive:
    """The image as an OCI archive with one uncompressed layer: importing is then a copy, not a decompression."""
    layer = _layer(spec.files)
    config = _as_json(_config(spec, _digest(layer)))
    manifest = _as_json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": _descriptor(config, _CONFIG_TYPE),
            "layers": [_descriptor(layer, _LAYER_TYPE)],
        }
    )
    pointer = _descriptor(manifest, _MANIFEST_TYPE) | {
        "platform": {"architecture": spec.architecture, "os": "linux"},
        "annotations": {"io.containerd.image.name": spec.name},
    }
    index = _as_json({"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": [pointer]})
    blobs = {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (layer, config, manifest)}
    layout = _as_json({"imageLayoutVersion": "1.0.0"})
    content = _tar({"oci-layout": layout, "index.json": index, **blobs})
    return Archive(content, _digest(manifest))


def static_binary(name: str, binary: Path, *, arguments: Sequence[str] = ()) -> ImageSpec:
    """An image that holds one static program at `/<its name>` and nothing else."""
    path = f"/{binary.name}"
    return ImageSpec(
        name=name,
        files={path: RootFile(binary.read_bytes(), 0o755)},
        entrypoint=(path,),
        command=arguments,
    )


def _config(spec: ImageSpec, layer_digest: str) -> dict[str, Any]:
    return {
        "created": _EPOCH,
        "architecture": spec.architecture,
        "os": "linux",
        "config": {
            "Env": [f"{key}={value}" for key, value in sorted(spec.environment.items())],
            "Entrypoint": list(spec.entrypoint),
            "Cmd": list(spec.command),
            "User": spec.user,
            "WorkingDir": "/",
            "Labels": dict(sorted(spec.labels.items())),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "history": [{"created": _EPOCH, "created_by": "plm"}],
    }


def _layer(files: Mapping[str, RootFile]) -> bytes:
    paths = {path.strip("/"): file for path, file in files.items()}
    folders = {str(parent) for path in paths for parent in Path(path).parents} - {"."}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, file in sorted(paths.items()):
            _add(tar, path, file.content, file.mode)
    return raw.getvalue()


def _tar(files: Mapping[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in files.items():
            _add(tar, path, content, 0o644)
    return raw.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    # TarInfo's own defaults are what makes archives equal: time 0, root, no names.
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _descriptor(blob: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
