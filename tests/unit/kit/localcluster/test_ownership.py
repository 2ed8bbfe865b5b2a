"""One cluster per machine: who holds it, one command at a time, and nothing left in /run."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.localcluster import ownership
from plmkit.localcluster.ownership import Ownership
from support.waiting import wait_until

OURS = Ownership("/state/plm", {"kernel.panic": "0"}, namespaces_folder_existed=True)
NOBODY = 65_534

# Holds the lock until it is killed.
HOLDER = """
import sys
from pathlib import Path
from plmkit.localcluster import ownership
folder = Path(sys.argv[1])
ownership._FOLDER, ownership._LOCK = folder, folder / "lock"
with ownership.locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/run/plm, elsewhere."""
    folder = tmp_path / "plm"
    monkeypatch.setattr(ownership, "_FOLDER", folder)
    monkeypatch.setattr(ownership, "_LOCK", folder / "lock")
    monkeypatch.setattr(ownership, "RECORD", folder / "cluster.json")
    return folder


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """As a user who may not look into this folder."""
    if os.getuid() != 0:
        folder.chmod(0)
        yield
        folder.chmod(0o700)
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_the_record_says_who_and_how_the_machine_was(folder: Path) -> None:
    assert ownership.read() is None
    with ownership.locked():
        ownership.write(OURS)
    assert ownership.read() == OURS


def test_a_record_that_was_cut_off_while_it_was_written_changes_nothing(folder: Path) -> None:
    with ownership.locked():
        ownership.write(OURS)
    (folder / "cluster.new").write_text('{"state": "/state/ot')
    assert ownership.read() == OURS


def test_clearing_leaves_nothing_of_us(folder: Path) -> None:
    with ownership.locked():
        ownership.write(OURS)
        (folder / "cluster.new").touch()
        ownership.clear()
    assert ownership.read() is None
    assert not folder.exists()


def test_clearing_leaves_what_is_not_ours(folder: Path) -> None:
    with ownership.locked():
        (folder / "theirs").touch()
        ownership.clear()
    assert [path.name for path in folder.iterdir()] == ["theirs"]


def test_only_one_at_a_time_also_while_the_lock_itself_comes_and_goes(folder: Path) -> None:
    """Every holder removes file and folder on the way out, as `plm down` does."""
    inside, most, failures = 0, 0, list[BaseException]()

    def come_and_go() -> None:
        nonlocal inside, most
        try:
            for _ in range(150):
                with ownership.locked():
                    inside += 1
                    most = max(most, inside)
                    ownership.write(OURS)
                    inside -= 1
                    ownership.clear()
        except BaseException as error:  # noqa: BLE001 - a thread's error would be lost
            failures.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert most == 1
    assert not folder.exists()


def test_the_lock_ends_with_whoever_held_it_however_that_ends(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        came = threading.Event()
        told: list[str] = []

        def wait_for_the_turn() -> None:
            with ownership.locked(told.append):
                came.set()

        waiting = threading.Thread(target=wait_for_the_turn)
        waiting.start()
        wait_until(lambda: bool(told), 20, "it says that it waits")
        assert told == ["waiting: another plm starts or stops the cluster"]
        assert not came.is_set()
        holder.send_signal(signal.SIGKILL)
        assert came.wait(30)
        waiting.join()


def test_nothing_is_said_where_nobody_waits(folder: Path) -> None:
    told: list[str] = []
    with ownership.locked(told.append):
        assert told == []


def test_whoever_is_not_root_is_told_so_and_not_shown_a_traceback(folder: Path) -> None:
    with ownership.locked():
        ownership.write(OURS)
    with as_nobody(folder):
        with pytest.raises(KitError, match="root's") as refused:
            ownership.read()
        with pytest.raises(KitError, match="root's"), ownership.locked():
            pass
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
    assert "--context" in refused.value.cure
