"""What keeps tests from failing where only the machine is slow, or somebody else is there."""

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.hasty_time import HastyTime
from support.living import lives
from support.ports import free_port
from support.terminals import read_until
from support.waiting import wait_until

GIVEN_BY_THE_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_property_is_judged_by_how_long_an_example_takes() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def test_a_port_is_given_once_and_by_nobody_else() -> None:
    """Neither by a second look here nor by the kernel, to a client of whatever runs beside."""
    found = [free_port() for _ in range(300)]
    assert len(set(found)) == len(found)
    assert max(found) < int(GIVEN_BY_THE_KERNEL.read_text().split()[0])


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - as services listen in their pods
def test_a_port_on_which_somebody_listens_is_not_free(address: str) -> None:
    following = free_port() + 1
    with socket.socket() as theirs:
        with suppress(OSError):  # then somebody else does
            theirs.bind((address, following))
            theirs.listen()
        assert free_port() != following


def test_time_stands_still_until_what_is_waited_for_is_there_and_then_flies(tmp_path: Path) -> None:
    there = tmp_path / "there"
    time = HastyTime(there.exists)
    assert [time.monotonic() for _ in range(3)] == [0.0, 0.0, 0.0]
    there.touch()
    first, second = time.monotonic(), time.monotonic()
    assert first > 60
    assert second > first + 60


def test_time_goes_on_also_where_nothing_ever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.hasty_time._PATIENCE_S", -1.0)
    assert HastyTime(lambda: False).monotonic() > 60


def test_a_process_lives_until_it_has_ended_though_nobody_has_asked_how() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert lives(child.pid)
        child.kill()
        wait_until(lambda: not lives(child.pid), 30, "it is dead")
    assert not lives(child.pid)


def test_what_a_terminal_says_in_pieces_is_read_whole() -> None:
    ours, theirs = os.openpty()
    command = "printf 'half of '; sleep 0.1; printf 'a sentence'"
    with subprocess.Popen(["sh", "-c", command], stdout=theirs):
        assert read_until(ours, b"of a sent").startswith(b"half of a sent")
    os.close(theirs)
    os.close(ours)
