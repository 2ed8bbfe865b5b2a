"""What is built, when, and that a build is there whole or not at all."""

import json
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.state import Places
from plmkit.tools import go
from plmkit.tools.building import Work, build, choose, plan
from plmkit.tools.recipes import FAMILIES, LANGUAGE_EXEC, Family, Program
from support.programs import GO, put

FAMILY = Family("pair", (Program("one", "example.com/cmd/one"), Program("two", "./folder")), "v1")
CHECKOUT = Path(__file__).parents[4]


class Notes(list[tuple[int, int]]):
    """Keeps the progress that it was told."""

    def __call__(self, compiled: int, packages: int, _seconds: float) -> None:
        self.append((compiled, packages))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(checkout=CHECKOUT, cache=tmp_path / "cache", state=tmp_path / "state")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    put(tmp_path / "programs", "go", GO)
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    source = tmp_path / "toolchain" / "pair"
    source.mkdir(parents=True)
    return Work(FAMILY, frozenset({"one", "two"}), source, tmp_path / "tools" / "pair" / "key")


def test_every_family_is_built_when_nothing_fits(places: Places) -> None:
    works = plan(places, "go1.26.8", {})
    assert [work.family for work in works] == list(FAMILIES)
    assert all(work.is_due for work in works)
    assert len({work.folder for work in works}) == len(works)


def test_named_families_are_built_alone_and_in_the_usual_order(places: Places) -> None:
    chosen = choose(["helm", "etcd", "helm"])
    assert [family.name for family in chosen] == ["etcd", "helm"]
    works = plan(places, "go1.26.8", {}, chosen)
    assert [work.family.name for work in works] == ["etcd", "helm"]
    assert choose([]) == FAMILIES


def test_an_unknown_family_is_wrong_usage_and_the_known_ones_are_listed() -> None:
    with pytest.raises(KitError, match="no such tool: helmet; there are kubernetes, ") as refusal:
        choose(["helm", "helmet"])
    assert refusal.value.exit_code is ExitCode.WRONG_USAGE
    assert all(family.name in refusal.value.what for family in FAMILIES)


def test_what_path_offers_is_not_built(places: Places) -> None:
    works = {work.family.name: work for work in plan(
        places, "go1.26.8", {"helm": Path("/usr/bin/helm"), "kubectl": Path("/usr/bin/kubectl")}
    )}  # fmt: skip
    assert "helm" not in works
    assert "kubectl" not in works["kubernetes"].names
    assert "kubelet" in works["kubernetes"].names


def test_a_build_is_published_whole_with_what_it_took(work: Work) -> None:
    build(work, Notes())
    assert {path.name for path in work.folder.iterdir()} == {"one", "two", "built.json"}
    assert json.loads((work.folder / "built.json").read_text())["compiled"] == 2
    assert not work.is_due


def test_a_build_replaces_the_one_before_it_and_what_a_killed_one_left(work: Work) -> None:
    shelf = work.folder.parent
    (shelf / "older").mkdir(parents=True)
    (shelf / ".building-abc").mkdir()
    build(work, Notes())
    assert [path.name for path in shelf.iterdir()] == ["key"]


def test_a_program_that_path_no_longer_offers_is_built_after_all(work: Work) -> None:
    one = Work(FAMILY, frozenset({"one"}), work.source, work.folder)
    build(one, Notes())
    assert not one.is_due
    assert work.is_due
    build(work, Notes())
    assert not work.is_due


def test_a_failed_build_tells_the_compiler_s_words_and_leaves_nothing(
    work: Work, tmp_path: Path
) -> None:
    put(tmp_path / "programs", "go", 'echo "main.go:3: syntax error" >&2; [ "$1" = list ]')
    with pytest.raises(KitError, match=r"main\.go:3: syntax error"):
        build(work, Notes())
    assert list(work.folder.parent.iterdir()) == []
    assert work.is_due


def test_modules_that_cannot_be_had_are_said_before_anything_is_compiled(
    work: Work, tmp_path: Path
) -> None:
    put(tmp_path / "programs", "go", 'echo "dial tcp: no route" >&2; exit 1')
    with pytest.raises(KitError, match="modules of pair cannot be had: dial tcp: no route"):
        build(work, Notes())


@pytest.mark.parametrize(
    ("limit", "step"), [("_FETCHED_WITHIN_S", "list"), ("_BUILT_WITHIN_S", "build")]
)
def test_a_step_that_stands_still_is_given_up(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, step: str
) -> None:
    """A stalled download has no end of its own."""
    monkeypatch.setattr(go, limit, 0.1)
    put(tmp_path / "programs", "go", GO.replace(f"{step})", f"{step}) exec sleep 60;"))
    with pytest.raises(KitError, match=f"go {step} has not ended within"):
        build(work, Notes())
    assert list(work.folder.parent.iterdir()) == []


def test_progress_counts_compiled_packages_and_not_the_compiler_s_talk(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go, "_WATCH_EVERY_S", 0.01)
    talking = GO.replace("build)", 'build) echo "go: downloading x" >&2; echo early >&2; sleep 0.8')
    put(tmp_path / "programs", "go", talking)
    notes = Notes()
    build(work, notes)
    assert (0, 0) in notes  # while the modules are fetched
    assert (1, 1) in notes  # the first program is being compiled
    assert (3, 1) in notes  # the second one; the fake compiles more than it lists


def test_the_language_host_comes_with_the_script_that_starts_programs(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module"
    (module / LANGUAGE_EXEC.path).parent.mkdir(parents=True)
    (module / LANGUAGE_EXEC.path).write_text("#!/bin/sh\n")
    work.source.with_name(LANGUAGE_EXEC.pinned_by).mkdir()
    monkeypatch.setenv("PLM_TEST_MODULE", str(module))
    host = Family(LANGUAGE_EXEC.family, FAMILY.programs, "v1")
    build(Work(host, work.names, work.source, work.folder), Notes())
    script = work.folder / "pulumi-language-python-exec"
    assert script.read_text() == "#!/bin/sh\n"
    assert script.stat().st_mode & 0o111
