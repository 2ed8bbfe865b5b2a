"""Whether what is there is what is desired: quantities are amounts, whatever their spelling."""

import copy
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plmop.likeness import QUANTITY_PATTERN, is_covered, is_same_quantity
from plmop.mesh_node import manifests
from plmop.mesh_node.spec import MeshNodeSpec
from support.harms import OWNER
from support.troupe import FRAME

# As people write it, and as the API server gives it back.
SAME = [
    ("1024Mi", "1Gi"),
    ("1000m", "1"),
    ("0.5", "500m"),
    (".5", "500m"),
    ("1.", "1"),
    ("0.1Gi", "107374182400m"),
    ("1e3", "1k"),
    ("1500M", "1500e6"),
    ("1500u", "2m"),  # rounded up to thousandths
    ("0", "0"),
]
OTHER = [("1Gi", "1G"), ("1000m", "1001m"), ("1", "1m"), ("128Mi", "256Mi")]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_amount_are_the_same(one: str, other: str) -> None:
    assert is_same_quantity(one, other)
    assert is_same_quantity(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_two_amounts_are_not(one: str, other: str) -> None:
    assert not is_same_quantity(one, other)


@given(millis=st.integers(0, 10**12))
def test_thousandths_and_whole_ones_agree(millis: int) -> None:
    whole = str(Decimal(millis).scaleb(-3))
    assert is_same_quantity(f"{millis}m", whole)
    assert not is_same_quantity(f"{millis + 1}m", whole)


def test_what_is_no_quantity_is_compared_as_it_stands() -> None:
    assert is_same_quantity("lots", "lots")
    assert not is_same_quantity("lots", "more")
    assert not is_same_quantity("1", "lots")
    for text in ("", "1 Gi", "-1", "1Gi\n", "1Kb", "e3", "1ki", "."):
        assert re.fullmatch(QUANTITY_PATTERN, text) is None


def test_a_child_is_covered_in_the_server_s_spelling_and_in_no_other_amount() -> None:
    resources = {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"memory": "2048Mi"}}
    spec = MeshNodeSpec(currency="USD")
    desired = manifests.deployment(OWNER, spec, replace(FRAME, resources=resources))

    def present(cpu: str, **more: Any) -> Any:
        found = copy.deepcopy(dict(desired))
        [container] = found["spec"]["template"]["spec"]["containers"]
        container["resources"] = {
            "requests": {"cpu": cpu, "memory": "1Gi"},
            "limits": {"memory": "2Gi"},
            **more,
        }
        return found

    assert is_covered(desired, present("500m"))
    assert is_covered(desired, present("500m", limits={"memory": "2Gi", "cpu": "1"}))
    assert not is_covered(desired, present("501m"))
    assert not is_covered(desired, present("500m", limits={"cpu": "1"}))
    assert not is_covered(desired, present("500m", limits=None))
