"""Ids: what names a thing names it alone, for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain import ids
from plm.domain.errors import Refused


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_two_payments_share_an_id_only_when_they_are_one(
    a: str, key: str, b: str, other: str
) -> None:
    """Also where client and key run into one another: ("a", "bc") is not ("ab", "c")."""
    same = ids.payment_id(a, key) == ids.payment_id(b, other)
    assert same == ((a, key) == (b, other))


def test_payment_ids_never_change() -> None:
    """A client may retry after years: the id is pinned."""
    assert ids.payment_id("operator", "k1") == "pay_ef5f5e424058bdf5e85196ed3bfa1158"


@pytest.mark.parametrize("text", ["a", "m00", "hub-1", "a" * 40])
def test_dns_labels_name_nodes(text: str) -> None:
    assert ids.check_node_id(text) == text


@pytest.mark.parametrize("text", ["", "A", "1a", "a-", "-a", "a_b", "a.b", "a" * 41, "a/b", "a\n"])
def test_nothing_else_names_a_node(text: str) -> None:
    with pytest.raises(Refused):
        ids.check_node_id(text)


def test_names_of_accounts_holds_and_peers() -> None:
    assert ids.link_account("a", "b") == "link/a/b"
    assert ids.external_account("USD") == "external/USD"
    assert ids.hold_id("pay_1", 2, 0) == "pay_1/2/0"
    assert ids.node_spiffe("a") == "spiffe://plm.local/node/a"
    assert ids.service_spiffe("ledger") == "spiffe://plm.local/service/ledger"
