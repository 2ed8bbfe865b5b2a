"""`plm pay` and `plm verify` as processes, against a gateway over real HTTPS: exit codes, resuming, Ctrl-C."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plmkit.console import ExitCode
from support.fake_gateway import FakeGateway, running_gateway
from support.kit_process import Kit
from support.terminals import read_until

PLM = (sys.executable, "-m", "plmkit")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[FakeGateway]:
    with running_gateway(tmp_path) as running:
        yield running


def environment(state: Path) -> dict[str, str]:
    # A proxy that does not exist: plm goes straight to its gateway whatever the environment says.
    proxy = "http://127.0.0.1:9"
    return {
        "PLM_STATE_DIR": str(state),
        "PATH": "/usr/bin:/bin",
        "HOME": str(state),
        "HTTPS_PROXY": proxy,
    }


def plm(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PLM, *arguments],
        env=environment(state),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_file(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["idempotency_key,from,to,amount,currency", *lines, ""]))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_payment_is_told_to_people_and_to_scripts(gateway: FakeGateway, tmp_path: Path) -> None:
    told = plm(tmp_path, "pay", "A", "D", "10000.00", "USD", "--key", "k1")
    assert told.returncode == ExitCode.GOOD, told.stderr
    assert told.stdout.startswith("settled  10000.00 USD A to D over A-B-D, fee 1.00")
    script = plm(tmp_path, "pay", "a", "d", "10000.00", "usd", "--key", "k1", "-o", "json")
    answer: dict[str, Any] = json.loads(script.stdout)
    assert (answer["paymentId"], answer["idempotencyKey"]) == ("pay_k1", "k1")
    assert gateway.asked == {"k1": 2}


@pytest.mark.parametrize("amount", ["0", "-5", "-0.50", "-.5"])
def test_a_refusal_names_its_code_its_key_and_what_to_do(
    gateway: FakeGateway, tmp_path: Path, amount: str
) -> None:
    """Also of an amount that looks like an option."""
    done = plm(tmp_path, "pay", "A", "D", amount, "USD", "--key", "k1")
    assert done.returncode == ExitCode.CHECK_FAILED
    assert done.stdout == ""
    assert "invalid_amount" in done.stderr
    assert "key k1" in done.stderr
    assert "try: write the amount as" in done.stderr


def test_a_wrong_key_is_told_apart_from_a_missing_platform(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"apiKey": "stolen"}))
    for command in (("pay", "A", "D", "1", "USD"), ("verify", "ledger")):
        wrong = plm(tmp_path, *command)
        assert wrong.returncode == ExitCode.UNFIT_ENVIRONMENT
        assert "unauthenticated" in wrong.stderr
        assert "try: name this platform's own installation with PLM_STATE_DIR" in wrong.stderr
    path.unlink()
    missing = plm(tmp_path, "pay", "A", "D", "1", "USD")
    assert missing.returncode == ExitCode.UNFIT_ENVIRONMENT
    assert "try: plm up" in missing.stderr


@pytest.mark.parametrize("variable", ["", "prod"])
def test_another_cluster_is_paid_over_with_its_own_credentials(
    gateway: FakeGateway, tmp_path: Path, variable: str
) -> None:
    ours = tmp_path / "credentials.json"
    ours.rename(tmp_path / "credentials.tiny-prod.json")
    ours.write_text(json.dumps({"apiUrl": "https://127.0.0.1:9", "apiKey": "x", "caFile": "/x"}))
    path = tmp_path / "payments.csv"
    write_file(path, "k2,a,d,1.00,USD")
    context = () if variable else ("--context", "prod")
    kit = Kit(tmp_path).with_variables(PLM_STATE_DIR=str(tmp_path), PLM_CONTEXT=variable)
    for words in (
        ("pay", "A", "D", "1.00", "USD", "--key", "k1"),
        ("pay", "--file", str(path)),
        ("verify", "ledger"),
    ):
        done = kit.call(*words, *context)
        assert done.returncode == ExitCode.GOOD, done.stderr
    assert set(gateway.paid) == {"k1", "k2"}


def test_a_file_is_paid_once_and_bad_lines_are_reported_with_their_numbers(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    path = tmp_path / "payments.csv"
    write_file(path, "k1,a,d,1.00,USD", "k2,a,d,0,USD", "k3,a,d", "k4,a,d,4.00,USD")
    first = plm(tmp_path, "pay", "--file", str(path), "-o", "json")
    assert first.returncode == ExitCode.CHECK_FAILED
    summary = json.loads(first.stdout)
    assert [summary[name] for name in ("settled", "refused", "bad_lines")] == [2, 1, 1]
    assert "line 3: refused: an amount is above zero (invalid_amount)" in first.stderr
    assert "line 4: bad_line: 3 columns where 5 are needed" in first.stderr
    assert "\x1b" not in first.stderr, "progress is drawn on a terminal only"

    again = json.loads(plm(tmp_path, "pay", "--file", str(path), "-o", "json").stdout)
    assert again["done_before"] == 4
    assert gateway.asked == {"k1": 1, "k2": 1, "k4": 1}

    write_file(path, "k1,a,d,1.00,USD", "k2,a,d,2.00,USD", "k3,a,d,3.00,USD", "k4,a,d,4.00,USD")
    mended = plm(tmp_path, "pay", "--file", str(path))
    assert mended.returncode == ExitCode.GOOD, mended.stderr
    assert set(gateway.paid) == {"k1", "k2", "k3", "k4"}


def test_ctrl_c_lets_payments_in_flight_finish_and_the_next_run_goes_on(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    count, concurrency = 60, 4
    path = tmp_path / "payments.csv"
    write_file(path, *(f"k{number},a,d,1.00,USD" for number in range(count)))
    under_way, go_on = threading.Semaphore(0), threading.Event()

    def hold_back(key: str) -> None:
        under_way.release()
        assert go_on.wait(30)

    gateway.before_answer = hold_back
    command = [*PLM, "pay", "--file", str(path), "--concurrency", str(concurrency)]
    process = subprocess.Popen(
        command,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(concurrency):
        assert under_way.acquire(timeout=30)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "stopping" in process.stderr.readline()
    go_on.set()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "run the same command again" in said
    assert len(rows(tmp_path / "payments.results.csv")) == len(gateway.paid) < count

    rest = plm(tmp_path, "pay", "--file", str(path))
    assert rest.returncode == ExitCode.GOOD, rest.stderr
    assert gateway.asked == {f"k{number}": 1 for number in range(count)}


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once_and_leaves_the_terminal_as_it_was(
    gateway: FakeGateway, tmp_path: Path, second: signal.Signals
) -> None:
    """Payments in flight have no result: the next run asks for them again."""
    path = tmp_path / "payments.csv"
    write_file(path, *(f"k{number},a,d,1.00,USD" for number in range(9)))
    under_way, go_on = threading.Semaphore(0), threading.Event()

    def hold_back(key: str) -> None:
        under_way.release()
        assert go_on.wait(30)

    gateway.before_answer = hold_back
    terminal, ours = pty.openpty()
    with subprocess.Popen(
        [*PLM, "pay", "--file", str(path)],
        env=environment(tmp_path) | {"TERM": "xterm"},
        stderr=ours,
        stdout=subprocess.DEVNULL,
    ) as process:
        os.close(ours)
        for _ in range(9):
            assert under_way.acquire(timeout=30)
        process.send_signal(signal.SIGTERM)
        seen = read_until(terminal, b"again to stop at once")
        process.send_signal(second)
        seen += read_until(terminal, b"run the same command again to go on")
        assert process.wait(30) == 130
    os.close(terminal)
    assert seen.count(b"\x1b[?25l") == seen.count(b"\x1b[?25h") == 1
    assert rows(tmp_path / "payments.results.csv") == []
    go_on.set()
    assert plm(tmp_path, "pay", "--file", str(path)).returncode == ExitCode.GOOD
    assert len(gateway.paid) == 9


def test_a_killed_run_goes_on_where_its_journal_ends(gateway: FakeGateway, tmp_path: Path) -> None:
    count = 40
    path = tmp_path / "payments.csv"
    write_file(path, *(f"k{number},a,d,1.00,USD" for number in range(count)))
    half, go_on = threading.Event(), threading.Event()

    def hold_back_the_second_half(key: str) -> None:
        if len(gateway.paid) > count // 2:
            half.set()
            assert go_on.wait(30)

    gateway.before_answer = hold_back_the_second_half
    process = subprocess.Popen(
        [*PLM, "pay", "--file", str(path), "--concurrency", "4"],
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert half.wait(30)
    process.kill()
    process.wait()
    go_on.set()
    done = plm(tmp_path, "pay", "--file", str(path))
    assert done.returncode == ExitCode.GOOD, done.stderr
    results = rows(tmp_path / "payments.results.csv")
    assert sorted(row["idempotency_key"] for row in results) == sorted(gateway.paid)
    assert len(gateway.paid) == count
    # Asked for again: those in flight at the kill, and those whose result was not on the disk yet.
    assert count < sum(gateway.asked.values()) < 2 * count


@pytest.mark.parametrize(
    ("state", "ends_with"),
    [("refused", ExitCode.CHECK_FAILED), ("open", ExitCode.NO_ANSWER_YET)],
)
def test_a_script_can_tell_a_refusal_from_no_answer_yet(
    gateway: FakeGateway, tmp_path: Path, state: str, ends_with: ExitCode
) -> None:
    gateway.state = state
    path = tmp_path / "payments.csv"
    write_file(path, "k2,a,d,1.00,USD")
    kit = Kit(tmp_path).with_variables(PLM_STATE_DIR=str(tmp_path))
    for words in (("A", "D", "1.00", "USD", "--key", "k1"), ("--file", str(path))):
        done = kit.call("pay", *words)
        assert done.returncode == ends_with, done.stderr


def test_verify_ends_with_one_when_the_ledger_is_broken(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    good = plm(tmp_path, "verify", "ledger")
    assert good.returncode == ExitCode.GOOD, good.stderr
    assert good.stdout.startswith("ledger verified")
    finding = {"kind": "altered", "seq": 7, "detail": "the row does not match its hash"}
    gateway.verdict |= {"ok": False, "findings": [finding]}
    bad = plm(tmp_path, "verify", "ledger")
    assert bad.returncode == ExitCode.CHECK_FAILED
    assert "altered     7  the row does not match its hash" in bad.stdout
    machine = plm(tmp_path, "verify", "ledger", "-o", "json")
    assert machine.returncode == ExitCode.CHECK_FAILED
    assert json.loads(machine.stdout)["findings"] == [finding]


def test_wrong_usage_has_its_own_exit_code(tmp_path: Path) -> None:
    for arguments in (
        ("pay", "A", "D"),
        ("pay", "A", "--file", "x.csv"),
        ("pay", "--file", str(tmp_path / "missing.csv")),
        ("pay", "--nonsense"),
        ("pay", "A", "D", "1.00", "USD", "--nonsense"),
        ("pay", "A", "D", "-x", "USD"),
        ("pay", "A", "D", "--kye", "k1"),
        ("nonsense",),
    ):
        assert plm(tmp_path, *arguments).returncode == ExitCode.WRONG_USAGE, arguments
