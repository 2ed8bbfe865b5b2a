"""The result file: it survives a crash, a full disk and strange hands, and one run at a time writes it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.payment_file import BadLine, Line
from plmkit.receipts import Order
from plmkit.result_file import Journal, bad_line_result, result_of

LINE = Line(2, "k1", Order("a", "d", "1.00", "USD"))


def test_a_finished_line_is_known_to_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with Journal(path) as journal:
        assert journal.done(LINE) is None
        journal.append([result_of(LINE, "settled")])
    with Journal(path) as journal:
        found = journal.done(LINE)
        assert found is not None
        assert found.state == "settled"
        assert journal.done(Line(3, "k1", LINE.order)) is None


@pytest.mark.parametrize("state", ["unknown", "unfinished"])
def test_a_line_without_a_final_answer_is_asked_for_again(tmp_path: Path, state: str) -> None:
    path = tmp_path / "results.csv"
    with Journal(path) as journal:
        journal.append([result_of(LINE, state)])
    with Journal(path) as journal:
        assert journal.done(LINE) is None


def test_an_edited_line_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    bad = BadLine(2, "k1,a", "2 columns where 5 are needed")
    with Journal(path) as journal:
        journal.append([bad_line_result(bad)])
    with Journal(path) as journal:
        assert journal.done(bad) is not None
        assert journal.done(LINE) is None
        journal.append([result_of(LINE, "settled")])
    with Journal(path) as journal:
        assert journal.done(LINE) is not None
        assert journal.done(Line(2, "k1", Order("a", "d", "2.00", "USD"))) is None


def test_a_journal_cut_anywhere_keeps_every_whole_line(tmp_path: Path) -> None:
    """A crash tears the last line at any byte: what was whole is known, what was torn is asked for again."""
    whole = tmp_path / "whole.csv"
    lines = [Line(number, f"k{number}", LINE.order) for number in range(2, 6)]
    with Journal(whole) as journal:
        for line in lines:
            journal.append([result_of(line, "refused", code="no", detail='said "no",\nfirmly')])
    content = whole.read_bytes()
    for cut in range(len(content)):
        torn = tmp_path / "torn.csv"
        torn.write_bytes(content[:cut])
        ends = [index for index, byte in enumerate(content[:cut]) if byte == ord("\n")]
        with Journal(torn) as journal:
            known = [line for line in lines if journal.done(line) is not None]
            assert known == lines[: max(0, len(ends) - 1)]
            journal.append([result_of(line, "settled") for line in lines if line not in known])
        with Journal(torn) as journal:
            assert all(journal.done(line) is not None for line in lines)


@pytest.mark.parametrize(
    "spoilt",
    [
        "x,k3,a,d,1.00,USD,settled,,,,,,0,0.0",
        ",,,,,,,,,,,,,",
        "only one",
        "",
        '4,"k3,a,d,1.00,USD,settled,,,,,,0,0.0',
        "4,k3,a,d\r,1.00,USD,settled,,,,,,0,0.0",
        "\x00\ufeff",
    ],
)
def test_a_row_that_nobody_can_read_spoils_no_other(tmp_path: Path, spoilt: str) -> None:
    path = tmp_path / "results.csv"
    others = [Line(number, f"k{number}", LINE.order) for number in (2, 3)]
    with Journal(path) as journal:
        journal.append([result_of(others[0], "settled")])
    with path.open("a") as file:
        file.write(spoilt + "\n")
    with Journal(path) as journal:
        journal.append([result_of(others[1], "settled")])
    with Journal(path) as journal:
        assert all(journal.done(line) is not None for line in others)
        assert journal.done(Line(4, "k3", LINE.order)) is None


def test_a_second_run_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """Its rows would tear those of the first."""
    path = tmp_path / "results.csv"
    with Journal(path) as first:
        first.append([result_of(LINE, "settled")])
        before = path.read_bytes()
        with pytest.raises(KitError, match="another plm pay is writing"), Journal(path):
            pass
        assert path.read_bytes() == before
    with Journal(path) as second:
        assert second.done(LINE) is not None


@contextmanager
def files_grow_to(size: int) -> Iterator[None]:
    """As on a disk that is full from there on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_row_that_finds_no_room_is_told_and_dropped(tmp_path: Path) -> None:
    """Of a full disk the first news is a write that takes a part of the row."""
    path = tmp_path / "results.csv"
    lines = [Line(number, f"k{number}", LINE.order) for number in (2, 3)]
    with Journal(path) as journal:
        journal.append([result_of(lines[0], "settled")])
        whole = path.read_bytes()
        with (
            files_grow_to(len(whole) + 9),
            pytest.raises(KitError, match="cannot be written") as told,
        ):
            journal.append([result_of(lines[1], "settled")])
        assert path.read_bytes() != whole, "nothing was torn"
        journal.append([result_of(Line(4, "k4", LINE.order), "settled")])
    assert told.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
    with Journal(path) as journal:
        assert [journal.done(line) is not None for line in lines] == [True, False]
        assert journal.done(Line(4, "k4", LINE.order)) is not None


@pytest.mark.parametrize("name", ["missing/results.csv", "", "file/results.csv", "pipe", "x" * 300])
def test_a_result_file_that_cannot_be_opened_is_wrong_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KitError, match="the result file") as refused, Journal(tmp_path / name):
        pass
    assert refused.value.exit_code is ExitCode.WRONG_USAGE
    assert "--results" in refused.value.cure
    assert sorted(tmp_path.rglob("*")) == before


def test_the_results_of_another_file_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    other = Line(2, "k9", LINE.order)
    with Journal(path) as journal:
        journal.refuse_strangers([LINE])
        journal.append(
            [result_of(LINE, "refused"), result_of(Line(3, "k3", LINE.order), "unknown")]
        )
    with Journal(path) as journal:
        # No money has moved: a file whose lines were all mended goes on in its own result file.
        journal.refuse_strangers([other])
        journal.append([result_of(LINE, "settled")])
    with Journal(path) as journal:
        moved = Line(7, LINE.key, LINE.order)
        journal.refuse_strangers([BadLine(2, "x", "bad"), other, moved])
        with pytest.raises(KitError, match="none of the 1 settled there") as refused:
            journal.refuse_strangers([other, BadLine(3, "x", "bad")])
    assert refused.value.exit_code is ExitCode.WRONG_USAGE


def test_a_file_that_is_no_result_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious.csv"
    path.write_bytes(b"something,else\n1,2")
    with pytest.raises(KitError, match="no result file"), Journal(path):
        pass
    assert path.read_bytes() == b"something,else\n1,2"
