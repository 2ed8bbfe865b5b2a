"""The Makefile on paper: a bare machine is made ready in the right order, and a bench leaves no peer behind."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.makefile import ROOT
from support.programs import put

UV = 'echo "uv $*" >> asked'
# Has no venv module until a package brings it. What it makes has a python that installs uv.
PYTHON3 = """
case "$*" in
  *ensurepip*) test -e has-venv ;;
  "-m venv .venv") mkdir -p .venv/bin; cp made/python .venv/bin ;;
esac
"""
# Has no lists before it has fetched them.
APT = 'echo "apt-get $*" >> asked; case "$1" in update) touch lists ;; *) test -e lists && touch has-venv ;; esac'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "uv.lock"):
        (tmp_path / name).touch()
    put(tmp_path / "programs", "python3", PYTHON3)
    put(tmp_path / "programs", "apt-get", APT)
    put(tmp_path / "made", "python", "cp made/uv .venv/bin")
    put(tmp_path / "made", "uv", UV)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**environment, "PATH": f"{folder / 'programs'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def asked(folder: Path) -> list[str]:
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_a_bare_machine_fetches_its_lists_before_it_installs(folder: Path) -> None:
    done = make(folder, ".venv/.synced")
    assert done.returncode == 0, done.stderr
    assert asked(folder) == [
        "apt-get update -qq",
        "apt-get install -y -qq python3-venv",
        "uv sync --frozen --quiet",
    ]


def test_where_that_fails_the_cure_is_one_that_works_on_empty_lists(folder: Path) -> None:
    put(folder / "programs", "apt-get", "exit 100")
    done = make(folder, ".venv/.synced")
    assert done.returncode != 0
    assert "apt-get update && apt-get install python3-venv" in done.stdout


def test_a_machine_that_has_it_all_installs_nothing(folder: Path) -> None:
    (folder / "has-venv").touch()
    assert make(folder, ".venv/.synced").returncode == 0
    assert asked(folder) == ["uv sync --frozen --quiet"]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_bench_takes_its_peers_away_however_it_ends_and_tells_how_it_ended(
    folder: Path, exit_code: int
) -> None:
    """Else the next check judges an environment that nobody else has."""
    put(folder / ".venv" / "bin", "uv", UV)
    put(folder / ".venv" / "bin", "python", f'echo "python $*" >> asked; exit {exit_code}')
    (folder / ".venv" / ".synced").touch()
    done = make(folder, "bench", "ONLY=router")
    assert (done.returncode != 0) == bool(exit_code)
    assert asked(folder) == [
        "uv sync --frozen --quiet --group bench",
        "python -m bench router",
        "uv sync --frozen --quiet",
    ]
