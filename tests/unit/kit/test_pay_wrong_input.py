"""`plm pay` with whatever people mistype: a sentence, a cure, the documented exit code, and nothing sent or written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from plmkit.console import ExitCode
from support.fake_gateway import FakeGateway, running_gateway
from support.kit_process import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    kit = Kit(tmp_path)
    kit.state.mkdir()
    return kit


@pytest.fixture
def gateway(kit: Kit) -> Iterator[FakeGateway]:
    with running_gateway(kit.state) as running:
        yield running


def refused(kit: Kit, gateway: FakeGateway, *words: str) -> str:
    """What it says; fails the test when anything was asked, written or left unexplained."""
    before = sorted(kit.folder.rglob("*"))
    done = kit.call("pay", *words)
    assert done.returncode == ExitCode.WRONG_USAGE, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("plm: ")
    assert "\n  try: " in done.stderr
    assert not gateway.asked
    assert sorted(kit.folder.rglob("*")) == before
    return done.stderr


@pytest.mark.parametrize("key", ["", " ", "rechnung-ä", "two words", "a\nb", "k" * 201, "k\udcff"])
def test_a_key_that_the_gateway_would_not_take_is_refused(
    kit: Kit, gateway: FakeGateway, key: str
) -> None:
    """An empty one above all: a new key made in its place would pay again at each retry."""
    assert "the idempotency key" in refused(kit, gateway, "A", "D", "1.00", "USD", "--key", key)


@pytest.mark.parametrize("place", range(4))
def test_what_is_no_text_is_refused(kit: Kit, gateway: FakeGateway, place: int) -> None:
    words = ["A", "D", "1.00", "USD"]
    words[place] += "\udcff"
    assert "is no UTF-8" in refused(kit, gateway, *words)
