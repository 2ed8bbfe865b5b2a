"""`plm up` and `plm doctor` on machines that are not fit: everything is said, and nothing is changed."""

from dataclasses import replace
from pathlib import Path

import pytest
from plmkit import doctor
from plmkit.doctor.facts import Facts, gather
from plmkit.state import Places
from support.kit_process import Kit
from support.programs import put


@pytest.fixture
def unfit(tmp_path: Path) -> Kit:
    """A machine without Go, and without any other program: it cannot get past the doctor."""
    (tmp_path / "programs").mkdir()
    return Kit(tmp_path, system_programs=False)


def test_up_changes_nothing_on_an_unfit_machine(unfit: Kit) -> None:
    before = set(unfit.folder.rglob("*"))
    done = unfit.run("up")
    assert done.returncode == 3
    assert done.stdout == ""
    assert "plm: Go is missing, 1.26 is needed to build the tools" in done.stderr
    assert "this is no Debian" in done.stderr, "all that is wrong, at once"
    assert "try: install Go" in done.stderr
    assert set(unfit.folder.rglob("*")) == before


def test_the_doctor_ends_with_three_and_a_cure_for_each_failure(unfit: Kit) -> None:
    before = set(unfit.folder.rglob("*"))
    done = unfit.call("doctor")
    assert done.returncode == 3
    assert "no  go         Go is missing, 1.26 is needed to build the tools" in done.stdout
    assert "go: install Go 1.26 or newer" in done.stdout
    assert "debian: use Debian 12" in done.stdout
    found = unfit.json("doctor", exit_code=3)
    assert not found["fit"]
    failed = {check["name"] for check in found["checks"] if check["cure"]}
    assert {"go", "debian"} <= failed
    assert set(unfit.folder.rglob("*")) == before


def test_a_foreign_cluster_needs_less_of_this_machine(unfit: Kit) -> None:
    embedded = {check["name"] for check in unfit.json("doctor", exit_code=3)["checks"]}
    for foreign in (
        unfit.json("doctor", "--context", "prod", exit_code=3),
        unfit.with_variables(PLM_CONTEXT="prod").json("doctor", exit_code=3),
    ):
        names = {check["name"] for check in foreign["checks"]}
        assert embedded - names >= {"root", "kernel", "cgroups", "paths", "addresses"}


def roomy(places: Places) -> Facts:
    """This machine, with room enough whatever else it does just now."""
    return replace(
        gather(places),
        memory_available_mib=8_000,
        cache_free_mib=50_000,
        state_free_mib=50_000,
    )


def test_a_registry_is_asked_for_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit machine by all that a foreign cluster needs, and a stack that names no registry."""
    monkeypatch.setattr(doctor, "gather", roomy)
    kit = Kit(tmp_path, system_programs=False)
    put(kit.programs, "go", "echo go1.26.8")
    put(kit.programs, "dpkg-query", f"echo asked >> {tmp_path / 'tools-asked'}")
    fit = kit.call("doctor", "--context", "prod")
    assert fit.returncode == 0, fit.stdout
    done = kit.call("up", "--context", "prod")
    assert done.returncode == 2, done.stderr
    assert "the stack names no registry" in done.stderr
    assert (
        "try: plm stack init --context prod --registry REGISTRY/PATH --api-url https://ADDRESS:30443"
        in done.stderr
    )
    assert not (tmp_path / "tools-asked").exists()
    assert not kit.state.exists()
    assert not kit.cache.exists()
