"""What no column can hold is refused before it reaches a batch, wherever in a command it lies."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain.deciding import Command
from plm.domain.errors import Code, Refused
from plm.domain.forms import NAME_CHARS_MAX, NOTE_CHARS_MAX, check_form, name, note
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.orders import AttemptOrder, CloseOrder, Hop, PostOrder, RefuseOrder, TransferOrder
from support import demo_mesh

PAYMENT = demo_mesh.payment_order("p")
NODE = demo_mesh.node_order("a")
LINK = demo_mesh.link_order("a", "b")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (TransferOrder("t\0", "link/a/b", "link/b/a", 1, "USD"), "transfer_id contains a NUL"),
        (replace(PAYMENT, client_id="\0"), "client_id contains a NUL"),
        (demo_mesh.payment_order("p\0"), "payment_id contains a NUL"),
        (CloseOrder("p", 1, "\0"), "reason contains a NUL"),
        (CloseOrder("p", 1, "why", "\0"), "failed_node contains a NUL"),
        (RefuseOrder("p", "code", "a\0b"), "detail contains a NUL"),
        (replace(NODE, role="\0"), "role contains a NUL"),
        (replace(NODE, registration=Registration("\0", 1)), "object_uid contains a NUL"),
        (replace(NODE, links_to=("b", "\0")), "links_to contains a NUL"),
        (AttemptOrder("\0", 1, (), 1), "payment_id contains a NUL"),
        (AttemptOrder("p", 1, (Hop("a", "\0", 1, LinkPolicy(0)),), 1), "to_node contains a NUL"),
        (PostOrder("p", 1, ("p/1/0", "\0"), "a"), "hold_ids contains a NUL"),
        (demo_mesh.payment_order("p" * 201), "payment_id has more than 200"),
        (replace(PAYMENT, client_id="c" * 201), "client_id has more than 200"),
        (replace(PAYMENT, body_sha256=bytes(65)), "body_sha256 has more than 64 bytes"),
        (TransferOrder("t" * 201, "x", "y", 1, "USD"), "transfer_id has more than 200"),
        (replace(LINK, registration=Registration("u" * 201, 1)), "object_uid has more than 200"),
        (CloseOrder("p", 1, "r" * 2_001), "reason has more than 2000"),
        (RefuseOrder("p", "code", "d" * 2_001), "detail has more than 2000"),
        (RefuseOrder("p", "c" * 201, "d"), "code has more than 200"),
        (replace(PAYMENT, client_id="\ud800"), "client_id is no valid Unicode"),
        (replace(NODE, registration=Registration("u", 2**63)), "generation is no 64-bit number"),
        (replace(LINK, policy=LinkPolicy(0, -(2**64))), "fee_rate_ppm is no 64-bit number"),
    ],
)
def test_what_no_column_can_hold_is_refused_by_name(command: Command, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        check_form(command)
    assert caught.value.code is Code.INVALID_REQUEST


def test_usual_commands_pass() -> None:
    for command in (*demo_mesh.founding(), *demo_mesh.whole_payment("p")):
        check_form(command)


@pytest.mark.parametrize(
    "command",
    [
        demo_mesh.payment_order("ü" * 200),
        CloseOrder("p", 1, "r" * 2_000, "n" * 200),
        # Amounts have more digits than a 64-bit number; how many is for the decision to say.
        demo_mesh.payment_order("p", 10**38),
        replace(LINK, policy=LinkPolicy(10**38), declared_volume=10**38),
    ],
)
def test_the_longest_that_fits_passes(command: Command) -> None:
    check_form(command)


anything = (
    st.text() | st.text("\0\ud800ab", max_size=9) | st.sampled_from(["x" * 3_000, "\0" * 3_000])
)


@given(anything)
def test_whatever_somebody_else_wrote_can_be_kept(text: str) -> None:
    """Words of a node's are no reason to refuse the close that gives the holds back."""
    check_form(CloseOrder("p", 1, note(text), name(text)))
    assert len(note(text)) <= NOTE_CHARS_MAX
    assert note(note(text)) == note(text)


@given(anything)
def test_a_name_is_kept_whole_or_not_at_all(text: str) -> None:
    is_good = len(text) <= NAME_CHARS_MAX and not {"\0", *map(chr, range(0xD800, 0xE000))} & {*text}
    assert name(text) == (text if is_good else "")
