"""A content key changes with all that decides what is built, and with nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
from plmkit.tools import keys
from plmkit.tools.keys import content_key
from plmkit.tools.recipes import LANGUAGE_EXEC, Family, Program

FAMILY = Family("etcd", (Program("etcd", "go.etcd.io/etcd/server/v3"),), "v3.6.14")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text("module example\n")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "main.go").write_text("package main\n")
    return tmp_path


def test_equal_input_gives_an_equal_key(sources: Path) -> None:
    assert content_key(FAMILY, sources, "go1.26.8") == content_key(FAMILY, sources, "go1.26.8")


def test_a_changed_a_renamed_and_a_new_file_change_it(sources: Path) -> None:
    seen = {content_key(FAMILY, sources, "go1.26.8")}
    (sources / "go.mod").write_text("module other\n")
    seen.add(content_key(FAMILY, sources, "go1.26.8"))
    (sources / "part" / "main.go").rename(sources / "part" / "start.go")
    seen.add(content_key(FAMILY, sources, "go1.26.8"))
    (sources / "part" / "more.go").write_text("package main\n")
    seen.add(content_key(FAMILY, sources, "go1.26.8"))
    assert len(seen) == 4


def test_another_compiler_and_other_flags_change_it(sources: Path) -> None:
    before = content_key(FAMILY, sources, "go1.26.8")
    assert content_key(FAMILY, sources, "go1.27.0") != before
    assert content_key(replace(FAMILY, tags="grpcnotrace"), sources, "go1.26.8") != before
    assert content_key(replace(FAMILY, link_flags="-s"), sources, "go1.26.8") != before


def test_a_test_of_a_tool_does_not_change_it(sources: Path) -> None:
    before = content_key(FAMILY, sources, "go1.26.8")
    (sources / "part" / "main_test.go").write_text("package main\n")
    assert content_key(FAMILY, sources, "go1.26.8") == before


def test_the_script_beside_the_language_host_belongs_to_its_key(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = replace(FAMILY, name=LANGUAGE_EXEC.family)
    before = content_key(host, sources, "go1.26.8"), content_key(FAMILY, sources, "go1.26.8")
    monkeypatch.setattr(keys, "LANGUAGE_EXEC", replace(LANGUAGE_EXEC, version="v9.9.9"))
    assert content_key(host, sources, "go1.26.8") != before[0]
    assert content_key(FAMILY, sources, "go1.26.8") == before[1]
