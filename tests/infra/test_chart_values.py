"""What the charts say about their own values, to whoever has helm and no Pulumi."""

from collections.abc import Iterator
from typing import Any

import pytest
from support import charts
from support.charts import CHARTS, HelmRefusedError
from support.program import IMAGES

NAMES = sorted(path.name for path in CHARTS.iterdir() if path.is_dir())


def undescribed(schema: Any, path: str = "") -> Iterator[str]:
    """Every property without words, wherever it stands: inside others, in definitions, in items."""
    if isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from undescribed(each, f"{path}[{number}]")
    if not isinstance(schema, dict):
        return
    for key, each in schema.items():
        where = f"{path}.{key}"
        if key == "properties":
            yield from (f"{where}.{name}" for name in each if not each[name].get("description"))
            for name, inner in each.items():
                yield from undescribed(inner, f"{where}.{name}")
        else:
            yield from undescribed(each, where)


@pytest.mark.parametrize("chart", NAMES)
def test_every_value_is_described(chart: str) -> None:
    """An editor with the schema, and values.yaml which points at it, have nothing else to show."""
    assert list(undescribed(charts.schema(chart))) == []


def test_a_property_without_words_is_found_wherever_it_stands() -> None:
    inner = {"properties": {"deep": {"type": "string"}}}
    schema = {
        "properties": {"top": {"description": "said", **inner}},
        "$defs": {"shared": inner},
        "anyOf": [inner],
    }
    found = set(undescribed(schema))
    assert found == {
        ".properties.top.properties.deep",
        ".$defs.shared.properties.deep",
        ".anyOf[0].properties.deep",
    }


@pytest.mark.parametrize("chart", NAMES)
def test_no_image_is_taken_for_granted(chart: str) -> None:
    """A default that no cluster can pull would look like a release that only takes its time."""
    with pytest.raises(HelmRefusedError, match=r"image"):
        charts.render(chart, {})


@pytest.mark.parametrize("chart", NAMES)
def test_a_release_stands_where_it_is_put(chart: str) -> None:
    """The stack's namespace is fixed; a release of helm's has its own, and nothing in it points elsewhere."""
    images = {"image": IMAGES["services"], "nodeImage": IMAGES["services"]}
    known = charts.schema(chart)["properties"]
    values = {name: image for name, image in images.items() if name in known}
    found = charts.render(chart, values, namespace="elsewhere")
    places = [place for each in found for place in namespaces_in(each)]
    assert len(places) >= len(found) > 0
    assert set(places) == {"elsewhere"}


def namespaces_in(value: Any) -> Iterator[str]:
    """Every namespace that is named, in metadata and in references."""
    if isinstance(value, list):
        for each in value:
            yield from namespaces_in(each)
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "namespace":
                yield each
            yield from namespaces_in(each)


def test_notes_name_every_secret_that_must_be_there() -> None:
    """Whoever has no Pulumi makes them; the operator issues the other ones from plm-ca."""
    notes = (CHARTS / "plm-services" / "templates" / "NOTES.txt").read_text()
    assert "plm-ca" in (CHARTS / "plm-operator" / "templates" / "NOTES.txt").read_text()
    named = set()
    for each in charts.render("plm-services", {"image": IMAGES["services"]}):
        pod = each.get("spec", {}).get("template", {}).get("spec", {})
        named |= {v["secret"]["secretName"] for v in pod.get("volumes", ()) if "secret" in v}
    assert named
    values = charts.defaults("plm-services")
    paths = {
        values["postgres"]["superuserSecret"]: ".Values.postgres.superuserSecret",
        values["postgres"]["ledgerSecret"]: ".Values.postgres.ledgerSecret",
        values["apiKeysSecret"]: ".Values.apiKeysSecret",
    }
    for name in named:
        assert paths.get(name, name) in notes, name


def test_notes_name_every_pod_of_others_that_policies_know_by_its_labels() -> None:
    """Whoever brings a store of their own gives its pods these; else nothing gets through."""
    notes = (CHARTS / "plm-services" / "templates" / "NOTES.txt").read_text()
    of_others = [
        name
        for name, value in charts.defaults("plm-services").items()
        if isinstance(value, dict) and "podLabels" in value
    ]
    assert of_others
    for name in of_others:
        assert f".Values.{name}.podLabels" in notes, name
