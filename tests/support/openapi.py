"""Kubernetes' own schemas, of the pinned version and made strict: a field that they do not name is an error."""

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from plmkit.tools import go
from support.postgres import ROOT

Manifest = Mapping[str, Any]
Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/"
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
_PROPS = {"$ref": f"{_REFERENCE}{_EXTENSIONS}JSONSchemaProps"}
_METADATA = {"$ref": f"{_REFERENCE}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}

# What the published files leave open and the API server does not.
_TIGHTER: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "type": ["string", "number"],
        "pattern": r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
    },
    f"{_EXTENSIONS}JSONSchemaPropsOrArray": _PROPS,
    f"{_EXTENSIONS}JSONSchemaPropsOrBool": {"anyOf": [_PROPS, {"type": "boolean"}]},
}

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@_FORMATS.checks("byte", raises=ValueError)
def _is_base64(value: object) -> bool:
    return not isinstance(value, str) or base64.b64decode(value, validate=True) is not None


class Schemas:
    """Validators by version and kind, each made when it is first asked for."""

    def __init__(self, definitions: Iterable[Manifest] = ()) -> None:
        self._custom: dict[tuple[str, str], Schema] = {}
        for spec in (definition["spec"] for definition in definitions):
            for version in spec["versions"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                self._custom[key] = version["schema"]["openAPIV3Schema"]
        self._validators: dict[tuple[str, str], Draft202012Validator | None] = {}

    def problems(self, manifest: Manifest) -> list[str]:
        """What the API server would refuse, each with the object's name; empty when there is nothing."""
        called = f"{manifest.get('kind')} {_name_of(manifest) or 'without a name'}"
        return [f"{called}: {problem}" for problem in self._problems(manifest)]

    def _problems(self, manifest: Manifest) -> Iterator[str]:
        api_version, kind = str(manifest.get("apiVersion")), str(manifest.get("kind"))
        key = api_version, kind
        if key not in self._validators:
            self._validators[key] = self._validator(api_version, kind)
        validator = self._validators[key]
        if validator is None:
            yield f"there is no {kind} in {api_version}"
            return
        for error in validator.iter_errors(manifest):
            yield f"{error.json_path.removeprefix('$.')}: {error.message}"
        if not _name_of(manifest):
            yield "metadata: neither name nor generateName"

    def _validator(self, api_version: str, kind: str) -> Draft202012Validator | None:
        custom = self._custom.get((api_version, kind))
        components = _components(api_version if custom is None else "v1")
        schema = _find(components, api_version, kind) if custom is None else _of_custom(custom)
        if schema is None:
            return None
        whole = {"allOf": [schema], "components": {"schemas": components}}
        return Draft202012Validator(whole, format_checker=_FORMATS)


def _name_of(manifest: Manifest) -> str:
    """The name with its namespace; empty where there is none."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping):
        return ""
    name = metadata.get("name") or metadata.get("generateName") or ""
    return f"{metadata['namespace']}/{name}" if name and "namespace" in metadata else str(name)


def _find(components: Mapping[str, Schema], api_version: str, kind: str) -> Schema | None:
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    for name, schema in components.items():
        if wanted in schema.get("x-kubernetes-group-version-kind", ()):
            return {"$ref": f"{_REFERENCE}{name}"}
    return None


def _of_custom(schema: Schema) -> Schema:
    """A custom resource's schema says of its metadata only that there is one."""
    return _closed({**schema, "properties": {**schema["properties"], "metadata": _METADATA}})


@cache
def _components(api_version: str) -> dict[str, Schema]:
    """The schemas of one version of one group, and all they refer to; none for a version that there is not."""
    name = f"{'apis__' if '/' in api_version else 'api__'}{api_version.replace('/', '__')}"
    path = _folder() / f"{name}_openapi.json"
    if not path.exists():
        return {}
    schemas = json.loads(path.read_text())["components"]["schemas"]
    return {name: _TIGHTER.get(name) or _closed(schema) for name, schema in schemas.items()}


def _closed(schema: Schema) -> Schema:
    """The same, without room for a field that it does not name."""
    made = dict(schema)
    if "properties" in schema:
        made["properties"] = {name: _closed(inner) for name, inner in schema["properties"].items()}
        made.setdefault("additionalProperties", False)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            made[keyword] = _closed(schema[keyword])
    return made


@cache
def _folder() -> Path:
    """In the module that the cluster is built from; fetched where nothing was built yet."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", "k8s.io/kubernetes"],
        cwd=ROOT / "toolchain" / "kubernetes",
        env=go.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return Path(json.loads(done.stdout)["Dir"]) / "api" / "openapi-spec" / "v3"
