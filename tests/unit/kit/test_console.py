"""Data that finds no place to go, no reader or no letters is no verdict and no traceback."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plmkit.console import ExitCode, emit_table
from support.fake_gateway import FakeGateway, running_gateway
from support.kit_process import PLM, Kit
from support.programs import put


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    put(tmp_path / "cache" / "tools" / "bin", "kubectl", "exit 1")
    kit = Kit(tmp_path)
    kit.state.mkdir()
    return kit


@pytest.fixture
def gateway(kit: Kit) -> Iterator[FakeGateway]:
    with running_gateway(kit.state) as running:
        yield running


def shell(kit: Kit, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it with `"$@"` for the whole command."""
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", *PLM, *words],
        env=kit.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


VERIFY = ("verify", "ledger")
PAY = ("pay", "A", "D", "1.00", "USD")


@pytest.mark.parametrize("words", [VERIFY, (*VERIFY, "-o", "json"), PAY], ids=" ".join)
def test_output_that_finds_no_room_is_told_and_ends_with_three(
    kit: Kit, gateway: FakeGateway, words: tuple[str, ...]
) -> None:
    """Not with 1, which says that the ledger is broken; and of a payment its key is left."""
    done = shell(kit, 'exec "$@" >/dev/full', *words)
    assert done.returncode == ExitCode.UNFIT_ENVIRONMENT
    assert "plm: the output cannot be written: No space left on device\n  try: " in done.stderr
    assert "Traceback" not in done.stderr
    if words == PAY:
        [key] = gateway.paid
        assert f"key {key}\n" in done.stderr


def test_a_reader_that_has_gone_is_no_failed_check(kit: Kit, gateway: FakeGateway) -> None:
    script = '{ "$@"; echo "ended with $?" >&2; } | :'
    done = shell(kit, script, *VERIFY)
    assert done.stderr == f"ended with {int(ExitCode.UNFIT_ENVIRONMENT)}\n"
    done = shell(kit, script, *PAY)
    [key] = gateway.paid
    assert done.stderr == f"key {key}\nended with {int(ExitCode.UNFIT_ENVIRONMENT)}\n"


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", ">&- 2>/dev/full"])
def test_streams_that_are_closed_change_no_exit_code(
    kit: Kit, gateway: FakeGateway, closed: str
) -> None:
    """Of a command that gives data, one that talks, one that would draw, and one that has little to say."""
    path = kit.folder / "payments.csv"
    path.write_text("idempotency_key,from,to,amount,currency\nk1,a,d,1.00,USD\n")
    for words, code in (
        (VERIFY, ExitCode.GOOD),
        (("pay", "A", "D", "0", "USD"), ExitCode.CHECK_FAILED),
        (("pay", "--file", str(path)), ExitCode.GOOD),
        (("status",), ExitCode.UNFIT_ENVIRONMENT),
    ):
        done = shell(kit, f'exec "$@" {closed}', *words)
        assert (done.returncode, done.stderr) == (code, "")
    assert set(gateway.paid) == {"k1"}


def test_a_table_without_stdout_is_lost_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    emit_table(("SEQ",), [("1",)])


def test_what_an_encoding_lacks_is_escaped(kit: Kit, gateway: FakeGateway) -> None:
    """After a whole file was paid its summary is no place to fail."""
    path = kit.folder / "zahlungen-ä.csv"
    path.write_text("idempotency_key,from,to,amount,currency\nk1,a,d,1.00,USD\n")
    done = kit.with_variables(PYTHONIOENCODING="ascii:strict").run("pay", "--file", str(path))
    assert done.returncode == ExitCode.GOOD, done.stderr
    assert "zahlungen-\\xe4.results.csv\n" in done.stdout
    assert set(gateway.paid) == {"k1"}


DRAWING = {
    "plm tools": """
from plmkit.commands.tools import Progress
progress = Progress()
with progress.building("helm", 1, 2, None):
    gone()
    progress.progress(1, 2, 3.0)
progress.say("built")
""",
    "plm pay --file": """
from plmkit.file_progress import FileProgress
from plmkit.paying import Tally
from plmkit.payment_file import BadLine
from plmkit.result_file import bad_line_result
with FileProgress(100) as progress:
    gone()
    progress(bad_line_result(BadLine(1, "", "no line of CSV")), Tally())
""",
    "what ends no line": """
from plmkit.console import drawing_console
console = drawing_console()
gone()
console.print("half of a line", end="")
""",
}
GONE = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
def gone():
    os.write(1, b"drawn\\n")  # print would be drawn too
    sys.stdin.read()
"""


@pytest.mark.parametrize("drawing", DRAWING.values(), ids=DRAWING)
def test_work_goes_on_where_the_terminal_that_it_is_drawn_on_goes_away(drawing: str) -> None:
    """As under `disown`: a payment file, or an hour of building, must not end for it."""
    terminal, own = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"{GONE}{drawing}print('done')"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=own,
        start_new_session=True,
        text=True,
    )
    os.close(own)
    assert process.stdout is not None
    assert process.stdout.readline() == "drawn\n"
    os.close(terminal)
    said, _ = process.communicate(timeout=60)
    assert (said, process.returncode) == ("done\n", 0)
