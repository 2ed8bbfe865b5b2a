"""What the pages name is what stands in the cluster: `plm logs` of every name finds a workload, kubectl an object."""

import re
from pathlib import Path

import pytest
from plmkit.commands.logs import resolve
from plmkit.console import KitError
from support.charts import Manifest
from support.documentation import pages
from support.objects import of_kind, title, workloads

ROOT = Path(__file__).resolve().parents[2]
APP = "app.kubernetes.io/name"
_LOGS = re.compile(r"plm logs (\w[\w-]*)")
_OBJECT = re.compile(r"kubectl [a-z]+ (deployment|statefulset|job|secret|service)[ /]([\w-]+)")


def is_named(word: str) -> bool:
    """Whether it is a name: words in capitals stand for what a person fills in, a letter alone is a node."""
    return len(word) == 1 or not re.search(r"[A-Z]", word)


def mentioned(pattern: re.Pattern[str]) -> set[tuple[str, ...]]:
    """What stands on any page, in sentences and tables too; in a page of commands each is run besides."""
    found = {each for page in pages(ROOT) for each in pattern.findall(page.read_text())}
    return {(each,) if isinstance(each, str) else each for each in found}


def test_every_log_that_a_page_names_is_there(everything: list[Manifest]) -> None:
    owned = {
        f"job/{each.labels[APP]}" if each.kind == "Job" else f"{each.kind.lower()}/{each.name}"
        for each in workloads(everything)
    }
    names = {name for (name,) in mentioned(_LOGS) if is_named(name)}
    assert {"gateway", "operator", "migrate", "B"} <= names
    assert {name: resolve(name, owned) for name in names}


def test_every_object_that_a_page_names_is_there(everything: list[Manifest]) -> None:
    there = {title(each).lower() for each in everything}
    named = {f"{kind}/{name}" for kind, name in mentioned(_OBJECT) if is_named(name)}
    assert named
    assert named - there == set()


def test_a_name_that_nothing_has_is_noticed(everything: list[Manifest]) -> None:
    assert of_kind(everything, "Deployment")
    with pytest.raises(KitError, match="there is no service or node 'operatr'"):
        resolve("operatr", {title(each).lower() for each in everything})
