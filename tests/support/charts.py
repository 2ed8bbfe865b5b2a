"""Charts as helm renders them, and YAML read as strictly as the API server reads it."""

import copy
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from support.apiserver import find_tool
from support.postgres import ROOT

CHARTS = ROOT / "charts"

Manifest = dict[str, Any]


class HelmRefusedError(Exception):
    """What helm said when it would not render: values that do not fit their schema, or a template that is wrong."""


class _Loader(yaml.CSafeLoader):
    """Refuses what YAML's authors let pass: a key that stands twice in one mapping, of which the last would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_documents(text: str) -> list[Manifest]:
    """The objects in a text; empty documents are none. Raises YAMLError for a key that stands twice."""
    documents = yaml.load_all(text, Loader=_Loader)
    return [document for document in documents if document]


def render(
    chart: str, values: Mapping[str, Any], *, release: str = "", namespace: str = "plm"
) -> list[Manifest]:
    """The objects of a release of ours, all but the definitions. Raises HelmRefusedError.

    Helm is asked once for the same release; each caller gets objects of its own.
    """
    given = json.dumps(values, sort_keys=True)
    return copy.deepcopy(_rendered(chart, given, release or chart, namespace))


@cache
def _rendered(chart: str, values: str, release: str, namespace: str) -> list[Manifest]:
    done = subprocess.run(
        [
            *(find_tool("helm"), "template", release, str(CHARTS / chart)),
            *(f"--namespace={namespace}", "--values=-"),
        ],
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise HelmRefusedError(done.stderr)
    return read_documents(done.stdout)


def defaults(chart: str) -> dict[str, Any]:
    """What values.yaml says."""
    [found] = read_documents((CHARTS / chart / "values.yaml").read_text())
    return found


def schema(chart: str) -> dict[str, Any]:
    """What values.schema.json says."""
    found: dict[str, Any] = json.loads((CHARTS / chart / "values.schema.json").read_text())
    return found


def definitions() -> list[Manifest]:
    """The custom resource definitions that the operator's chart brings."""
    folder = CHARTS / "plm-operator" / "crds"
    return [each for file in sorted(folder.iterdir()) for each in read_documents(file.read_text())]
