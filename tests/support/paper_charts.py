"""Our charts rendered without helm: values over defaults, checked against the schema, templates, YAML."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from support.gotemplates import TemplateError, Templates, shown
from support.postgres import ROOT

CHARTS = ROOT / "charts"

Manifest = dict[str, Any]


def defaults(chart: str) -> dict[str, Any]:
    """What values.yaml says."""
    found: dict[str, Any] = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    return found


def schema(chart: str) -> dict[str, Any]:
    """What values.schema.json says."""
    found: dict[str, Any] = json.loads((CHARTS / chart / "values.schema.json").read_text())
    return found


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values: maps are joined, all else is replaced, and a null takes a value away."""
    found = dict(below)
    for name, value in above.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(found.get(name), Mapping):
            found[name] = merged(found[name], value)
        else:
            found[name] = value
    return found


def checked(chart: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """All values of a release. Raises jsonschema.ValidationError, as helm refuses them."""
    found = merged(defaults(chart), values)
    jsonschema.validate(found, schema(chart))
    return found


def render(
    chart: str, values: Mapping[str, Any], *, release: str = "", namespace: str = "plm"
) -> list[Manifest]:
    """The objects of a release, in no order that means anything."""
    folder = CHARTS / chart
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    dot = {
        "Values": checked(chart, values),
        "Release": {"Name": release or chart, "Namespace": namespace, "Service": "Helm"},
        "Chart": {
            "Name": about["name"],
            "Version": about["version"],
            "AppVersion": about["appVersion"],
        },
        "Files": {"Get": _reader_of(folder)},
    }
    templates = Templates(FUNCTIONS)
    for helpers in folder.glob("templates/_*.tpl"):
        templates.add(helpers.read_text())
    files = [templates.add(path.read_text()) for path in folder.glob("templates/*.yaml")]
    return [
        document
        for file in files
        for document in yaml.safe_load_all(templates.render(file, dot))
        if document
    ]


def _reader_of(folder: Path) -> Callable[[str], str]:
    return lambda name: (folder / name).read_text()


def _indent(count: int, text: str) -> str:
    return "\n".join(" " * count + line for line in text.split("\n"))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _quote(value: Any) -> str:
    return "" if value is None else json.dumps(shown(value), ensure_ascii=False)


def _dict(*pairs: Any) -> dict[str, Any]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _required(message: str, value: Any) -> Any:
    if value is None or value == "":
        raise TemplateError(message)
    return value


# Sprig's and helm's, as far as the charts call them.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "default": lambda otherwise, value=None: value or otherwise,
    "dict": _dict,
    "fromYaml": yaml.safe_load,
    "gt": lambda left, right: left > right,
    "indent": _indent,
    "int": int,
    "int64": int,
    "list": lambda *values: list(values),
    "nindent": lambda count, text: "\n" + _indent(count, text),
    "not": lambda value: not value,
    "quote": _quote,
    "required": _required,
    "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "toJson": _json,
    "toYaml": lambda value: yaml.safe_dump(value, width=1000).rstrip("\n"),
    "trim": str.strip,
    "trunc": lambda count, text: text[:count],
}
