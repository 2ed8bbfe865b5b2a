"""The compiler: found, new enough, or said with its cure."""

from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.tools.go import find_version, parse_version
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
