"""What is generated is fresh, and says what the models say: CRD, rules of the Role, printer columns, CEL."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from plm.domain.money import SCALES
from plmop import cluster, crds
from plmop.conditions import Phase, Reason
from plmop.mesh_node.spec import InvalidSpec, MeshNodeSpec, read_spec
from support.postgres import ROOT

VERSION = crds.crd()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize(
    ("file", "document"), [(crds.CRD_FILE, crds.crd()), (crds.RULES_FILE, crds.rules())]
)
def test_committed_files_equal_a_fresh_generation(file: Path, document: object) -> None:
    assert file.read_text() == crds.render(document), "run: make generate"


def parts(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """All sub-schemas with their paths."""
    found = [(path, schema)]
    for name, part in schema.get("properties", {}).items():
        found += parts(part, f"{path}.{name}")
    if "items" in schema:
        found += parts(schema["items"], f"{path}[]")
    return found


def test_every_field_of_the_spec_is_described_and_limited() -> None:
    """`kubectl explain` answers, and nobody can store a megabyte in a string or a list."""
    for path, part in parts(SCHEMA["properties"]["spec"], "spec"):
        assert path.endswith("[]") or part.get("description"), f"{path} has no description"
        if part["type"] == "string":
            assert "maxLength" in part or "enum" in part, f"{path} has no limit"
        if part["type"] == "array":
            assert "maxItems" in part, f"{path} has no limit"
        if part["type"] == "integer":
            assert {"minimum", "maximum"} <= part.keys(), f"{path} has no limit"


def test_the_schema_is_structural() -> None:
    """No field is open, none is without a type, and nothing of pydantic's own language is left."""
    for path, part in parts(SCHEMA):
        assert part.get("type"), f"{path} has no type"
        left = part.keys() & {"$ref", "$defs", "anyOf", "allOf", "title", "const"}
        assert not left, f"{path} has {left}"
        assert "x-kubernetes-preserve-unknown-fields" not in part


def test_the_rules_between_fields_are_there() -> None:
    rules = [
        rule["rule"]
        for _, part in parts(SCHEMA)
        for rule in part.get("x-kubernetes-validations", ())
    ]
    for fragment in (
        "self == oldSelf",  # the currency
        "link.to != self.metadata.name",  # no link to itself
        "link.baseFee",  # digits of the currency
        "link.liquidityVolume",
        "self.metadata.name.matches",
    ):
        assert any(fragment in rule for rule in rules), f"no rule with {fragment}"
    links = SCHEMA["properties"]["spec"]["properties"]["links"]
    assert links["x-kubernetes-list-map-keys"] == ["to"], "links are not unique"


def test_columns_stand_in_the_documented_order() -> None:
    names = [column["name"].upper() for column in VERSION["additionalPrinterColumns"]]
    assert names == ["READY", "PHASE", "PEERS", "LIQUIDITY", "CERT-EXPIRY", "AGE"]


def test_the_currencies_are_the_ones_that_money_knows() -> None:
    assert SCHEMA["properties"]["spec"]["properties"]["currency"]["enum"] == sorted(SCALES)


def test_reasons_and_phases_of_the_status_are_the_enums() -> None:
    status = SCHEMA["properties"]["status"]["properties"]
    assert status["phase"]["enum"] == list(Phase)
    assert status["conditions"]["items"]["properties"]["reason"]["enum"] == list(Reason)


# Beside list and watch. Of Secrets and Services none is ever read alone or deleted.
NEEDED = {
    "MeshNode": {"get"},
    "Deployment": {"get", "create", "patch", "delete"},
    "Service": {"create", "patch"},
    "Secret": {"create", "patch"},
    "Event": {"create"},
    "Lease": {"get", "create", "update"},
}


def test_the_role_allows_what_cluster_does_and_no_more() -> None:
    """Each verb of each grant is one that cluster.py can use, and each method's verbs are granted to what it writes."""
    tree = ast.parse(Path(cluster.__file__).read_text())
    used = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "self._client"
    }
    assert used - {"close"} == {"list", "get", "patch", "delete", "create", "replace"}
    for grant in cluster.GRANTS:
        assert set(grant.verbs) - {"list", "watch"} == NEEDED[grant.kind], grant.kind
        assert "*" not in (*grant.verbs, grant.group, grant.plural)


def test_what_one_lease_is_for_is_allowed_with_that_one_alone() -> None:
    rules = [rule for rule in crds.rules() if rule["resources"] == ["leases"]]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in rules] == [
        (["list", "watch", "create"], None),  # these know no name
        (["get", "update"], [cluster.LEASE]),
    ]


def test_only_cluster_writes() -> None:
    """No other module of the operator holds a client of the API."""
    offenders = [
        str(path)
        for path in (ROOT / "operator").rglob("*.py")
        if path.name != "cluster.py" and "lightkube" in path.read_text()
    ]
    assert offenders == []


AMOUNTS = st.from_regex(r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,7})?", fullmatch=True)


@given(amount=AMOUNTS, currency=st.sampled_from(sorted(SCALES)))
def test_an_amount_is_taken_when_the_currency_has_its_digits(amount: str, currency: str) -> None:
    """The model agrees with money: no amount is taken that the ledger would refuse."""
    digits = len(amount.partition(".")[2])
    spec = read_spec("a", {"currency": currency, "links": [{"to": "b", "liquidityVolume": amount}]})
    assert isinstance(spec, MeshNodeSpec) == (digits <= SCALES[currency])


@pytest.mark.parametrize(
    ("name", "raw", "problem"),
    [
        ("a", {}, "currency"),
        ("a", {"currency": "XAU"}, "currency"),
        ("a", {"currency": "USD", "extra": 1}, "extra"),
        ("a", {"currency": "USD", "workersMax": 0}, "workersMax"),
        ("a", {"currency": "USD", "links": [{"to": "b"}]}, "liquidityVolume"),
        ("a", {"currency": "USD", "links": [{"to": "B", "liquidityVolume": "1"}]}, "to"),
        (
            "a",
            {"currency": "USD", "links": [{"to": "b", "liquidityVolume": "-1"}]},
            "liquidityVolume",
        ),
        ("a", {"currency": "USD", "links": [{"to": "b", "liquidityVolume": "1"}] * 2}, "unique"),
        ("a", {"currency": "USD", "links": [{"to": "a", "liquidityVolume": "1"}]}, "itself"),
        ("A", {"currency": "USD"}, "node id"),
        ("a", None, "currency"),
        ("a", {"currency": "USD", "links": "none"}, "links"),
    ],
)
def test_a_spec_without_sense_is_named(name: str, raw: Any, problem: str) -> None:
    found = read_spec(name, raw)
    assert isinstance(found, InvalidSpec)
    assert problem in found.problem


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_examples_are_short_and_valid(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 20
    for document in yaml.safe_load_all(text):
        spec = read_spec(document["metadata"]["name"], document["spec"])
        assert isinstance(spec, MeshNodeSpec), spec
