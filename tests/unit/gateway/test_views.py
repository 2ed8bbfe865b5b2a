"""What is shown of the ledger's answers, also of those that the ledger should never have to give."""

import pytest
from plm.gateway import views
from plm.wire import plm_pb2 as pb


@pytest.mark.parametrize("unread", ["", "NATS: no answer"])
def test_a_verdict_says_when_the_anchors_could_not_be_read(unread: str) -> None:
    """Without them nobody sees a tail that was cut off: "ok" alone would promise too much."""
    body = views.verdict(pb.VerifyReply(ok=True, anchors_unread=unread))
    assert body.model_dump(by_alias=True)["anchorsUnread"] == unread
