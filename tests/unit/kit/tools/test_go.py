"""The compiler: found, new enough, or said with its cure."""

import os
import subprocess
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.tools.go import _session_mib, find_version, parse_version
from support.programs import put


def test_versions_are_compared_as_numbers() -> None:
    assert parse_version("go1.26.8") == (1, 26)
    assert parse_version("go1.9") < parse_version("go1.26.8") < parse_version("go2.0")
    assert parse_version("devel") == parse_version("") == (0, 0)


@pytest.mark.parametrize("answer", ["go1.25.4", "", "nonsense"])
def test_an_old_or_broken_compiler_is_refused_with_the_version_that_would_do(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "go", f"echo {answer}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KitError) as refusal:
        find_version()
    assert "1.26" in refusal.value.cure
    assert refusal.value.exit_code is ExitCode.UNFIT_ENVIRONMENT


def test_a_missing_compiler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KitError, match="Go is missing"):
        find_version()


def test_a_build_s_memory_is_told_beside_programs_of_any_name(tmp_path: Path) -> None:
    """The kernel cuts names in the middle of a letter."""
    program = os.fsencode(put(tmp_path, "plain", "read -r _"))
    named = os.path.join(os.path.dirname(program), b"fifteen-bytes-\xc3\xbc")  # noqa: PTH118, PTH120 - no text
    os.rename(program, named)  # noqa: PTH104 - likewise
    with subprocess.Popen([named], stdin=subprocess.PIPE, start_new_session=True) as process:
        assert _session_mib(process.pid) >= 0
