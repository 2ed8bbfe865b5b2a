"""What is shown of the ledger's answers, also of those that the ledger should never have to give."""

import pytest
from plm.domain.chain import Entry, EntryDraft, EntryKind
from plm.gateway import views
from plm.wire import plm_pb2 as pb


@pytest.mark.parametrize("unread", ["", "NATS: no answer"])
def test_a_verdict_says_when_the_anchors_could_not_be_read(unread: str) -> None:
    """Without them nobody sees a tail that was cut off: "ok" alone would promise too much."""
    body = views.verdict(pb.VerifyReply(ok=True, anchors_unread=unread))
    assert body.model_dump(by_alias=True)["anchorsUnread"] == unread


def test_a_currency_that_nobody_knows_hides_no_verdict() -> None:
    """Somebody wrote it into the rows by hand: that is what the verdict is there to tell."""
    finding = pb.Finding(kind="currency", seq=3, detail="link/a/b is in XTS")
    reply = pb.VerifyReply(findings=[finding], sums={"XTS": "-123456", "USD": "-123456"})
    body = views.verdict(reply)
    assert body.sums == {"XTS": "-123456", "USD": "-1234.56"}
    assert [each.detail for each in body.findings] == [finding.detail]


def test_an_account_in_a_currency_that_nobody_knows_can_be_looked_at() -> None:
    """Whoever looks for what was tampered with asks for it next."""
    draft = EntryDraft("t", EntryKind.TRANSFER, "link/a/b", "link/b/a", 250, "XTS", "t")
    entry = Entry(1, bytes(32), bytes(32), draft, 0, 1)
    balance = pb.Balance(currency="XTS", posted="1000", held="0", available="1000")
    body = views.account(balance, [entry], 1)
    assert (body.posted, body.held, body.entries[0].amount) == ("1000", "0", "250")
