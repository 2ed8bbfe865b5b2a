"""`plm tools` as a process, with a compiler and a package database that the test wrote."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from plmkit.tools.recipes import TEST_PACKAGES
from support.living import lives
from support.programs import GO, put
from support.waiting import wait_until

DPKG = 'shift 2; for package; do echo "$package ii "; done'


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    programs = tmp_path / "programs"
    put(programs, "go", GO)
    put(programs, "dpkg-query", DPKG)
    module = tmp_path / "module" / "python" / "cmd"
    module.mkdir(parents=True)
    (module / "pulumi-language-python-exec").write_text("#!/bin/sh\n")
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PLM_CACHE_DIR": str(tmp_path / "cache"),
        "PLM_TEST_MODULE": str(tmp_path / "module"),
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "plmkit", "tools", *arguments]


def test_all_tools_are_built_once_and_then_kept(environment: dict[str, str]) -> None:
    first = subprocess.run(command("-o", "json"), env=environment, check=True, capture_output=True)
    again = subprocess.run(command("-o", "json"), env=environment, check=True, capture_output=True)
    assert [set(_sources(done.stdout)) for done in (first, again)] == [{"built"}, {"kept"}]
    assert b"building kubernetes (1 of " in first.stderr
    assert b"building" not in again.stderr
    present = {path.name for path in (Path(environment["PLM_CACHE_DIR"]) / "tools/bin").iterdir()}
    assert {"kubelet", "etcd", "pulumi", "pulumi-language-python-exec", "plm-netpol"} <= present


def test_one_tool_is_built_alone_and_leaves_the_others_as_they_are(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """`make check` needs helm and nothing else, Debian packages included."""
    subprocess.run(command(), env=environment, check=True, capture_output=True)
    bin_folder = Path(environment["PLM_CACHE_DIR"]) / "tools" / "bin"
    before = {path.name for path in bin_folder.iterdir()}
    shutil.rmtree(bin_folder.parent / "helm")
    put(tmp_path / "programs", "dpkg-query", "exit 1")
    done = subprocess.run(
        command("helm", "-o", "json"), env=environment, check=True, capture_output=True
    )
    report = json.loads(done.stdout)
    assert [(row["family"], row["source"]) for row in report["families"]] == [("helm", "built")]
    assert report["packagesInstalled"] == []
    assert b"building helm (1 of 1)" in done.stderr
    assert {path.name for path in bin_folder.iterdir()} == before


def test_test_servers_can_be_had_beside_one_tool(
    environment: dict[str, str], tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    put(tmp_path / "programs", "dpkg-query", f'{DPKG}\necho "$*" > {asked}')
    subprocess.run(
        command("helm", "--with-test-servers"), env=environment, check=True, capture_output=True
    )
    assert asked.read_text().split() == list(TEST_PACKAGES)


def test_an_unknown_tool_is_wrong_usage_and_touches_nothing(environment: dict[str, str]) -> None:
    done = subprocess.run(
        command("helmet"), env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no such tool: helmet; there are kubernetes, etcd, " in done.stderr
    assert not Path(environment["PLM_CACHE_DIR"]).exists()


def test_who_ends_plm_ends_the_compiler_and_leaves_no_half_build(
    environment: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "compiler.pid"
    put(tmp_path / "programs", "go", GO.replace("build)", f"build) echo $$ > {started}; sleep 60"))
    with subprocess.Popen(command(), env=environment, stderr=subprocess.PIPE) as process:
        wait_until(
            lambda: process.poll() is not None or _has_text(started), 20, "the compiler runs"
        )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert list((tmp_path / "cache" / "tools").glob("*/*")) == []


def test_whoever_kills_plm_has_the_kernel_end_the_compiler(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Nobody is left to do it; the next `plm tools` would build beside it."""
    started = tmp_path / "compiler.pid"
    put(
        tmp_path / "programs",
        "go",
        GO.replace("build)", f"build) echo $$ > {started}; exec sleep 60"),
    )
    with subprocess.Popen(command(), env=environment, stderr=subprocess.PIPE) as process:
        wait_until(
            lambda: process.poll() is not None or _has_text(started), 20, "the compiler runs"
        )
        process.kill()
        process.communicate(timeout=20)
    wait_until(lambda: not lives(int(started.read_text())), 20, "the compiler has ended")


@pytest.mark.parametrize("end", ["failed", "interrupted"])
def test_a_terminal_gets_its_cursor_back_however_a_build_ends(
    environment: dict[str, str], tmp_path: Path, end: str
) -> None:
    started = tmp_path / "started"
    script = f"touch {started}; exit 1" if end == "failed" else f"touch {started}; exec sleep 60"
    put(tmp_path / "programs", "go", GO.replace("build)", f"build) {script}"))
    terminal, ours = pty.openpty()
    with subprocess.Popen(
        command("etcd"), env={**environment, "TERM": "xterm"}, stderr=ours
    ) as process:
        os.close(ours)
        wait_until(lambda: started.exists() or process.poll() is not None, 20, "it builds")
        if end == "interrupted":
            process.send_signal(signal.SIGINT)
        seen = b""
        while select.select([terminal], [], [], 20)[0]:
            try:
                seen += os.read(terminal, 65_536)
            except OSError:  # the other end is closed
                break
    os.close(terminal)
    assert b"building etcd (1 of 1)" in seen
    assert b"\x1b[?25l" in seen, "it was never taken"
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")


def _has_text(path: Path) -> bool:
    return path.exists() and path.read_text() != ""


def test_two_at_once_build_once(environment: dict[str, str], tmp_path: Path) -> None:
    go_on, talk = tmp_path / "go-on", [tmp_path / "first", tmp_path / "second"]
    held = f"build) while ! test -e {go_on}; do sleep 0.05; done"
    put(tmp_path / "programs", "go", GO.replace("build)", held))

    def waiting() -> int:
        return sum("waiting: another plm is at the tools" in each.read_text() for each in talk)

    with _started(environment, talk[0]) as first, _started(environment, talk[1]) as second:
        try:
            wait_until(lambda: waiting() > 0, 60, "one waits for the other")
        finally:
            go_on.touch()
        heard = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert sorted(set(_sources(out)).pop() for out in heard) == ["built", "kept"]
    assert waiting() == 1


def _sources(report: bytes) -> list[str]:
    """Where the tools came from, those apart that this machine has on PATH."""
    found = [str(row["source"]) for row in json.loads(report)["families"]]
    return [source for source in found if not source.startswith("/")]


def _started(environment: dict[str, str], talk: Path) -> subprocess.Popen[bytes]:
    with talk.open("wb") as stderr:
        return subprocess.Popen(
            command("-o", "json"), env=environment, stdout=subprocess.PIPE, stderr=stderr
        )
