"""What keeps daemons quiet: put whole or not at all, known again, and nobody else's."""

from pathlib import Path

import pytest
from plmkit.tools import holds
from plmkit.tools.holds import HOLDS, Hold


@pytest.fixture
def hold(tmp_path: Path) -> Hold:
    return Hold(tmp_path / "made" / "for" / "policy", f"#!/bin/sh\n{holds._MARK}exit 101\n", 0o755)


def test_it_lies_there_as_a_whole_with_its_mode_and_goes_with_its_folders(
    hold: Hold, tmp_path: Path
) -> None:
    hold.put()
    assert hold.path.read_text().startswith(hold.text)
    assert hold.path.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in hold.path.parent.iterdir()] == ["policy"]
    hold.release()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_hold_something_else_stay(hold: Hold, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "theirs").touch()
    hold.put()
    hold.release()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["theirs"]


def test_folders_that_were_there_before_stay_also_when_they_are_empty(
    hold: Hold, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    hold.put()
    hold.put()  # by the next run, after one that was killed
    hold.release()
    assert [path.name for path in tmp_path.rglob("*")] == ["made"]


def test_one_that_was_cut_off_half_written_is_left_and_goes(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "HOLDS", (hold,))
    assert not holds.are_left()
    hold.path.parent.mkdir(parents=True)
    (hold.path.parent / ".policy.new").write_text("#!/bi")
    assert holds.are_left()
    holds.release()
    assert list(hold.path.parent.iterdir()) == []


def test_somebody_else_s_file_is_neither_changed_nor_taken_away(hold: Hold) -> None:
    hold.path.parent.mkdir(parents=True)
    hold.path.write_bytes(b"theirs \xff")
    hold.put()
    assert not hold.is_ours
    hold.release()
    assert hold.path.read_bytes() == b"theirs \xff"


def test_all_go_also_when_what_they_are_there_for_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tuple(Hold(tmp_path / "theirs" / hold.path.name, hold.text) for hold in HOLDS)
    monkeypatch.setattr(holds, "HOLDS", moved)
    seen: list[int] = []

    def fail() -> None:
        with holds.held(lambda: True):
            seen.append(len(list((tmp_path / "theirs").iterdir())))
            raise ZeroDivisionError

    (tmp_path / "kept").touch()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [len(HOLDS)]
    assert not holds.are_left()


def test_they_stay_while_something_is_left_that_they_are_there_for(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "HOLDS", (hold,))
    with holds.held(lambda: False):
        assert hold.is_ours
    assert hold.is_ours


def test_every_hold_says_whose_it_is() -> None:
    assert all(holds._MARK in hold.text for hold in HOLDS)
