"""docs/errors.md lists every code there is, once, under its family, and no other."""

import re
from pathlib import Path

from plm.domain.errors import Code
from plmkit.problems import BAD_ANSWER, NO_ANSWER, UNREACHABLE, cure_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "errors.md"
LOCAL = {UNREACHABLE, NO_ANSWER, BAD_ANSWER, "bad_line"}


def test_the_page_names_every_code_once() -> None:
    named = re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) == {code.value for code in Code} | LOCAL


def test_every_code_has_something_to_do_next() -> None:
    assert all(cure_of(code) for code in (*Code, *LOCAL))


def test_page_and_cure_agree_on_the_key() -> None:
    """The wrong one pays nothing for ever, or pays twice."""
    rows = re.findall(r"^\| `([a-z_]+)` \|.*\| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
    for which in ("same", "another"):
        named = {code for code, todo in rows if re.search(rf"\b{which} key", todo)}
        assert named
        assert {code for code in named if f"{which} --key" not in cure_of(code)} == set()
