"""Charts as helm renders them, and YAML read as strictly as the API server reads it."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import yaml
from support.apiserver import find_tool
from support.postgres import ROOT


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


def read_documents(text: str) -> list[dict[str, Any]]:
    """The objects in a text; empty documents are none. Raises YAMLError for a key that stands twice."""
    documents = yaml.load_all(text, Loader=_Loader)
    return [document for document in documents if document]


def render(chart: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything that installing a chart of ours would apply, custom resource definitions included."""
    command = [find_tool("helm"), "template", chart, str(ROOT / "charts" / chart)]
    done = subprocess.run(
        [*command, "--namespace=plm", "--include-crds", "--values=-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return read_documents(done.stdout)


def definitions() -> list[Mapping[str, Any]]:
    """The custom resource definitions that the operator's chart brings."""
    folder = ROOT / "charts" / "plm-operator" / "crds"
    return [each for file in sorted(folder.iterdir()) for each in read_documents(file.read_text())]
