"""Records survive the wire: there and back, through real bytes, nothing is lost that the wire is meant to carry."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.domain import relay
from plm.domain.chain import Entry, EntryDraft
from plm.domain.errors import Code, Refused
from plm.domain.forms import check_form
from plm.domain.mesh import Link, LinkPolicy, Node, Registration
from plm.domain.orders import Hop, PaymentOrder, RefuseOrder
from plm.domain.payments import Attempt, AttemptState, Hold, HoldState, Payment, PaymentState
from plm.domain.relay import ForwardTask, Outcome
from plm.wire import codec, forwarding
from plm.wire import plm_pb2 as pb

MOST = 10**38 - 1
texts = st.text(st.characters(codec="utf-8"), max_size=12)
amounts = st.integers(-MOST, MOST)
small = st.integers(-(2**31), 2**31 - 1)
large = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**31 - 1)
hashes = st.binary(max_size=32)

policies = st.builds(LinkPolicy, amounts, large, small)
hops = st.builds(Hop, texts, texts, amounts, policies)
routes = st.lists(hops, max_size=4).map(tuple)
links = st.builds(
    Link,
    texts,
    texts,
    policies,
    amounts,
    st.just(Registration("", 0)),
    large,
    texts,
    st.booleans(),
    amounts,
)
some_links = st.lists(links, max_size=3).map(tuple)
registrations = st.builds(Registration, texts, large)
nodes = st.builds(
    Node,
    texts,
    texts,
    texts,
    registrations,
    large,
    st.booleans(),
    some_links,
)
holds = st.builds(Hold, texts, small, st.sampled_from(HoldState), large, hashes)
some_holds = st.lists(holds, max_size=3).map(tuple)
attempts = st.builds(
    Attempt,
    texts,
    small,
    st.sampled_from(AttemptState),
    routes,
    large,
    large,
    large,
    texts,
    texts,
    some_holds,
)
orders = st.builds(PaymentOrder, texts, texts, st.just(b""), texts, texts, amounts, texts)
some_attempts = st.lists(attempts, max_size=2).map(tuple)
payments = st.builds(
    Payment,
    orders,
    st.sampled_from(PaymentState),
    large,
    large,
    texts,
    texts,
    some_attempts,
)
drafts = st.builds(EntryDraft, texts, texts, texts, texts, amounts, texts, texts)
entries = st.builds(Entry, large, hashes, hashes, drafts, large, large, counts)
tasks = st.builds(ForwardTask, texts, small, texts, routes, small, large)
some_texts = st.lists(texts, max_size=3).map(tuple)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
outcomes = st.builds(
    Outcome,
    some_texts,
    st.booleans(),
    st.booleans(),
    words,
    words,
    words,
    st.tuples(words, words),
)


@given(policies)
def test_policies(policy: LinkPolicy) -> None:
    message = pb.LinkPolicy.FromString(codec.policy_to_wire(policy).SerializeToString())
    assert codec.policy_from_wire(message) == policy


def test_a_policy_that_names_no_fee_asks_none() -> None:
    assert codec.policy_from_wire(pb.LinkPolicy()) == LinkPolicy(0)


@given(links)
def test_links(link: Link) -> None:
    message = pb.LinkRecord.FromString(codec.link_to_wire(link).SerializeToString())
    assert codec.link_from_wire(message) == link


@given(links, texts, large)
def test_a_links_registration_stays_with_the_ledger(link: Link, uid: str, generation: int) -> None:
    told = replace(link, registration=Registration(uid, generation))
    assert codec.link_to_wire(told) == codec.link_to_wire(link)


@given(nodes)
def test_nodes(node: Node) -> None:
    message = pb.NodeRecord.FromString(codec.node_to_wire(node).SerializeToString())
    assert codec.node_from_wire(message) == node


@given(hops)
def test_hops(hop: Hop) -> None:
    message = pb.Hop.FromString(codec.hop_to_wire(hop).SerializeToString())
    assert codec.hop_from_wire(message) == hop


@given(attempts)
def test_attempts(attempt: Attempt) -> None:
    message = pb.Attempt.FromString(codec.attempt_to_wire(attempt).SerializeToString())
    assert codec.attempt_from_wire(message) == attempt


@given(payments)
def test_payments(payment: Payment) -> None:
    message = pb.Payment.FromString(codec.payment_to_wire(payment).SerializeToString())
    assert codec.payment_from_wire(message) == payment


@given(payments, hashes)
def test_a_bodys_hash_stays_with_the_ledger(payment: Payment, body: bytes) -> None:
    told = replace(payment, order=replace(payment.order, body_sha256=body))
    assert codec.payment_to_wire(told) == codec.payment_to_wire(payment)


@given(entries)
def test_entries(entry: Entry) -> None:
    message = pb.Entry.FromString(codec.entry_to_wire(entry).SerializeToString())
    assert codec.entry_from_wire(message) == entry


@given(tasks)
def test_forwarded_tasks(task: ForwardTask) -> None:
    message = pb.ForwardRequest.FromString(forwarding.task_to_wire(task).SerializeToString())
    assert forwarding.task_from_wire(message) == task


@given(outcomes)
def test_outcomes(outcome: Outcome) -> None:
    message = pb.ForwardReply.FromString(forwarding.outcome_to_wire(outcome).SerializeToString())
    assert forwarding.outcome_from_wire(message) == outcome


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
def test_a_nodes_words_arrive_in_a_form_that_is_kept_and_a_failure_stays_one(
    code: str, text: str
) -> None:
    message = pb.ForwardReply(
        error_code=code, error_detail=text * 40, failed_node=text, failed_link_from=text
    )
    outcome = forwarding.outcome_from_wire(message)
    assert not outcome.is_confirmed
    check_form(relay.give_up("p", 1, outcome))
    check_form(RefuseOrder("p", outcome.error_code, outcome.error_detail))


@given(st.integers(-(10**39) + 1, 10**39 - 1))
def test_amounts_of_any_size_and_sign_pass_their_judge_is_the_ledger(amount: int) -> None:
    assert codec.amount_from_wire(str(amount)) == amount


@pytest.mark.parametrize(
    "text", ["", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "--1", "\u0661", "a"]
)
def test_what_is_no_integer_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        codec.amount_from_wire(text)
    assert caught.value.code is Code.INVALID_AMOUNT


@pytest.mark.parametrize("text", ["1" * 41, "0" * 41, "9" * 10_000_000])
def test_endless_digits_are_refused_before_they_are_read(text: str) -> None:
    with pytest.raises(Refused) as caught:
        codec.amount_from_wire(text)
    assert caught.value.code is Code.AMOUNT_TOO_LARGE
