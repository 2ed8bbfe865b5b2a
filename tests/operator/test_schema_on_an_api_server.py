"""What the API server itself refuses: each rule of the CRD has an object that breaks it, and is needed for that."""

from typing import Any

import pytest
from support.stage import Stage, link, mesh_node

pytestmark = pytest.mark.stores

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("link to itself", mesh_node("z", links=[link("z")]), "cannot link to itself"),
    ("two links to one node", mesh_node("z", links=[link("y"), link("y")]), "Duplicate value"),
    (
        "digits of a volume",
        mesh_node("z", links=[link("y", "1.005")]),
        "liquidityVolume has more digits",
    ),
    (
        "digits of a fee",
        mesh_node("z", links=[link("y", baseFee="0.001")]),
        "baseFee has more digits",
    ),
    ("yen have no cents", mesh_node("z", currency="JPY", links=[link("y", "1.0")]), "more digits"),
    ("negative volume", mesh_node("z", links=[link("y", "-1")]), "liquidityVolume"),
    ("volume as a number", mesh_node("z", links=[link("y", 1)]), "liquidityVolume"),  # type: ignore[arg-type] # on purpose
    ("no volume", mesh_node("z", links=[{"to": "y"}]), "liquidityVolume: Required"),
    ("unknown currency", mesh_node("z", currency="XAU"), "Unsupported value"),
    ("unknown role", mesh_node("z", role="bank"), "Unsupported value"),
    ("no workers", mesh_node("z", workersMax=0), "workersMax"),
    ("too many workers", mesh_node("z", workersMax=1000), "workersMax"),
    ("fee rate above all", mesh_node("z", links=[link("y", feeRatePpm=1_000_001)]), "feeRatePpm"),
    ("name too long", mesh_node("z" * 41), "at most 40"),
    ("name starts with a digit", mesh_node("1z"), "a letter first"),
    ("name with a dot", mesh_node("z.z"), "a letter first"),
    ("peer in capitals", mesh_node("z", links=[link("Y")]), "links[0].to"),
    ("too many links", mesh_node("z", links=[link(f"y{i}") for i in range(129)]), "at most 128"),
    ("unknown field", mesh_node("z", colour="red"), "unknown field"),
]


@pytest.mark.parametrize(("manifest", "said"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_what_makes_no_sense_is_refused_with_a_reason(
    stage: Stage, manifest: dict[str, Any], said: str
) -> None:
    done = stage.api.apply(manifest)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_currency_cannot_be_changed(stage: Stage) -> None:
    stage.api.do("delete", "meshnode", "z", "-n", "plm", "--ignore-not-found")
    assert stage.api.apply(mesh_node("z", currency="EUR")).returncode == 0
    done = stage.api.apply(mesh_node("z", currency="USD"))
    stage.api.do("delete", "meshnode", "z", "-n", "plm")
    assert done.returncode != 0
    assert "currency cannot be changed" in done.stderr


def test_defaults_are_filled_in(stage: Stage) -> None:
    assert stage.api.apply(mesh_node("z", links=[link("y")])).returncode == 0
    spec = stage.node("z")["spec"]
    stage.api.do("delete", "meshnode", "z", "-n", "plm")
    assert spec == {
        "currency": "USD",
        "role": "sme",
        "workersMax": 32,
        "paused": False,
        "links": [
            {
                "to": "y",
                "liquidityVolume": "1000.00",
                "baseFee": "0",
                "feeRatePpm": 0,
                "latencyMs": 0,
            }
        ],
    }


REFUSED = [
    ("create", "pods"),
    ("create", "meshnodes"),
    ("update", "meshnodes"),
    ("delete", "meshnodes"),
    ("patch", "meshnodes"),
    ("get", "configmaps"),
    ("create", "roles"),
    ("create", "clusterroles"),
    ("impersonate", "users"),
    ("create", "pods/exec"),
    ("delete", "leases"),
    ("update", "leases"),
    ("update", "leases/another"),
    ("get", "leases"),
    ("get", "secrets"),
    ("delete", "secrets"),
    ("delete", "services"),
    ("list", "nodes"),
    ("delete", "namespaces"),
]


@pytest.mark.parametrize(("verb", "resource"), REFUSED)
def test_the_operator_may_not(stage: Stage, verb: str, resource: str) -> None:
    done = stage.api.kubectl(
        "auth", "can-i", verb, resource, "-n", "plm",
        "--as=system:serviceaccount:plm:plm-operator",
    )  # fmt: skip
    assert done.stdout.strip() == "no"


@pytest.mark.parametrize("resource", ["secrets", "deployments", "services"])
def test_the_operator_may_do_nothing_in_other_namespaces(stage: Stage, resource: str) -> None:
    done = stage.api.kubectl(
        "auth", "can-i", "get", resource, "-n", "default",
        "--as=system:serviceaccount:plm:plm-operator",
    )  # fmt: skip
    assert done.stdout.strip() == "no"
