"""docs/mesh-nodes.md names every phase, every reason and every metric, and nothing else."""

import re

from plmop import metrics
from plmop.conditions import Phase, Reason
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from support.postgres import ROOT

PAGE = (ROOT / "docs" / "mesh-nodes.md").read_text()


def rows(section: str) -> set[str]:
    text = PAGE.partition(f"## {section}")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([A-Za-z_]+)` \|", text, re.MULTILINE))


def test_every_phase_is_explained() -> None:
    assert rows("Phases") == set(Phase)


def test_every_reason_has_a_cure() -> None:
    assert rows("Reasons") == set(Reason)


def test_every_metric_is_explained() -> None:
    found = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    names = {f"{each._name}_total" if isinstance(each, Counter) else each._name for each in found}
    assert rows("The operator itself") == names
