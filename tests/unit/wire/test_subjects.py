"""Subjects tell links from nodes, and both lie within what the stream collects."""

from hypothesis import given
from hypothesis import strategies as st
from plm.wire import subjects

node_ids = st.from_regex(r"[a-z](?:[-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


@given(node_ids, node_ids)
def test_links_and_nodes_are_told_apart(one: str, other: str) -> None:
    assert subjects.is_link_subject(subjects.link_subject(one, other))
    assert not subjects.is_link_subject(subjects.node_subject(one))


@given(node_ids, node_ids)
def test_the_stream_collects_them(one: str, other: str) -> None:
    prefix = subjects.LIQUIDITY_SUBJECTS.removesuffix(">")
    assert subjects.link_subject(one, other).startswith(prefix)
    assert subjects.node_subject(one).startswith(prefix)
