"""What is found on PATH: taken where its version fits, named with the version that would."""

import re
from pathlib import Path

import pytest
from plmkit.tools.recipes import FAMILIES, Substitute
from plmkit.tools.substitutes import find, version_in
from support.programs import put

SUBSTITUTES = {
    program.name: program.substitute
    for family in FAMILIES
    for program in family.programs
    if program.substitute is not None
}
ANSWERS = {
    "kubectl": ('{"clientVersion": {"gitVersion": "v1.36.1"}}', "1.36.1"),
    "pulumi": ("v3.259.0", "3.259.0"),
    "helm": ("v3.21.4+g1a2b3c4", "3.21.4"),
}


def fits(name: str, version: str) -> bool:
    substitute: Substitute = SUBSTITUTES[name]
    return re.fullmatch(substitute.fits, version) is not None


def test_the_version_is_read_out_of_each_program_s_answer() -> None:
    assert {name: version_in(ANSWERS[name][0], SUBSTITUTES[name]) for name in SUBSTITUTES} == {
        name: version for name, (_, version) in ANSWERS.items()
    }
    assert version_in("command not understood", SUBSTITUTES["helm"]) == ""


@pytest.mark.parametrize(
    ("name", "fitting", "unfit"),
    [
        ("kubectl", ("1.35.0", "1.36.3", "1.37.9"), ("1.34.9", "1.38.0", "2.36.0", "1.365.0", "")),
        ("pulumi", ("3.259.0", "3.259.7"), ("3.258.0", "3.260.0", "4.259.0", "3.2590.1", "")),
        ("helm", ("3.14.0", "3.21.4", "3.30.1"), ("3.13.9", "4.0.0", "2.17.0", "")),
    ],
)
def test_only_near_versions_fit(
    name: str, fitting: tuple[str, ...], unfit: tuple[str, ...]
) -> None:
    assert [version for version in fitting if not fits(name, version)] == []
    assert [version for version in unfit if fits(name, version)] == []


def test_what_is_on_path_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, own = tmp_path / "theirs", tmp_path / "own"
    put(theirs, "kubectl", f"echo '{ANSWERS['kubectl'][0]}'")
    put(theirs, "pulumi", "echo v2.0.0")
    put(theirs, "helm", "exit 1")
    monkeypatch.setenv("PATH", f"{theirs}:/usr/bin:/bin")
    found = find(own)
    assert {name: (each.version, each.fits) for name, each in found.items()} == {
        "kubectl": ("1.36.1", True),
        "pulumi": ("2.0.0", False),
        "helm": ("", False),
    }
    assert found["kubectl"].path == theirs / "kubectl"


def test_only_programs_of_the_families_asked_for_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "theirs", "kubectl", f"touch {tmp_path / 'asked'}")
    put(tmp_path / "theirs", "helm", "echo v3.21.4")
    monkeypatch.setenv("PATH", f"{tmp_path / 'theirs'}:/usr/bin:/bin")
    families = [family for family in FAMILIES if family.name == "helm"]
    assert set(find(tmp_path / "own", families)) == {"helm"}
    assert not (tmp_path / "asked").exists()


def test_our_own_builds_stand_in_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "bin", "helm", "echo v3.21.4")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    assert "helm" not in find(tmp_path)
