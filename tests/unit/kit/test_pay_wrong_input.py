"""`plm pay` with whatever people mistype: a sentence, a cure, the documented exit code, and nothing sent or written."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from plmkit.console import ExitCode
from support.fake_gateway import FakeGateway, running_gateway
from support.kit_process import PLM, Kit

HEADER = "idempotency_key,from,to,amount,currency\n"


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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("header", HEADER.replace(",amount", "")),
        ("semicolons", HEADER.replace(",", ";")),
        ("returns", HEADER.replace("\n", "\rk1,a,d,1.00,USD\r")),
        ("empty", ""),
    ],
)
def test_a_file_with_a_wrong_header_makes_no_result_file(
    kit: Kit, gateway: FakeGateway, name: str, content: str
) -> None:
    path = kit.folder / f"{name}.csv"
    path.write_text(content)
    assert "the file's " in refused(kit, gateway, "--file", str(path))


def test_what_is_no_file_is_refused(kit: Kit, gateway: FakeGateway) -> None:
    os.mkfifo(kit.folder / "pipe")
    for path in (".", "", "/", str(kit.folder / "pipe"), "x" * 300, "/dev/null", "-"):
        said = refused(kit, gateway, "--file", path)
        assert "name a CSV file" in said, said


@pytest.mark.parametrize("name", ["missing/r.csv", "", "good.csv", "state"])
def test_a_result_file_that_cannot_be_one_is_refused_before_anything_is_sent(
    kit: Kit, gateway: FakeGateway, name: str
) -> None:
    path = kit.folder / "good.csv"
    path.write_text(f"{HEADER}k1,a,d,1.00,USD\n")
    refused(kit, gateway, "--file", str(path), "--results", str(kit.folder / name))
    assert path.read_text() == f"{HEADER}k1,a,d,1.00,USD\n"


def test_results_without_a_file_are_refused(kit: Kit, gateway: FakeGateway) -> None:
    said = refused(kit, gateway, "A", "D", "1.00", "USD", "--results", "r.csv")
    assert "--results goes with --file" in said


def test_the_results_of_another_file_are_left_alone(kit: Kit, gateway: FakeGateway) -> None:
    results = kit.folder / "results.csv"
    for name, key in (("first", "k1"), ("second", "k2")):
        (kit.folder / f"{name}.csv").write_text(f"{HEADER}{key},a,d,1.00,USD\n")
    first, second = (
        ("--file", str(kit.folder / f"{name}.csv"), "--results", str(results))
        for name in ("first", "second")
    )
    kit.json("pay", *first)
    written = results.read_bytes()
    gateway.asked.clear()
    assert "none of the 1 settled there is in the file" in refused(kit, gateway, *second)
    assert results.read_bytes() == written


def test_a_second_run_on_one_result_file_sends_nothing(kit: Kit, gateway: FakeGateway) -> None:
    path, results = kit.folder / "payments.csv", kit.folder / "payments.results.csv"
    path.write_text(f"{HEADER}k1,a,d,1.00,USD\n")
    with results.open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        done = kit.call("pay", "--file", str(path))
    assert done.returncode == ExitCode.NO_ANSWER_YET
    assert f"another plm pay is writing {results}" in done.stderr
    assert not gateway.asked
    assert results.read_bytes() == b""


def test_a_full_disk_stops_the_run_and_the_next_goes_on(kit: Kit, gateway: FakeGateway) -> None:
    """Here a limit on the size of a file plays the disk; the row that it tears is dropped."""
    count = 40
    path = kit.folder / "payments.csv"
    path.write_text(HEADER + "".join(f"k{number},a,d,1.00,USD\n" for number in range(count)))
    command = [*PLM, "pay", "--file", str(path), "--concurrency", "2"]
    full = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 2; exec "$@"', "sh", *command],
        # Python does not notice when it compiles a module into a file that is cut off, and fails ever after.
        env=kit.with_variables(PYTHONDONTWRITEBYTECODE="1").environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == ExitCode.UNFIT_ENVIRONMENT, full.stderr
    assert full.stderr == (
        f"plm: the result file {kit.folder}/payments.results.csv cannot be written: File too large\n"
        "  try: mend that, then the same command again: "
        "what has no line there is asked for again, and paid once\n"
    )
    assert 0 < len(gateway.paid) < count
    summary = kit.json("pay", "--file", str(path))
    assert summary["settled"] == count
    assert 0 < summary["done_before"] < count
    assert len(gateway.paid) == count
