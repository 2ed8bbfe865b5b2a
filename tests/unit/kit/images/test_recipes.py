"""Recipes and Containerfiles say the same, and a content key changes with everything that an image is made of."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.images import recipes
from plmkit.images.recipes import BASE, RECIPES, Recipe

CHECKOUT = Path(__file__).parents[4]
BY_NAME = {recipe.name: recipe for recipe in RECIPES}
SERVICES = BY_NAME["services"]
# vim's copy and its backup, emacs' lock and its copy.
OF_EDITORS = (".app.py.swp", "app.py~", ".#app.py", "#app.py#")


@dataclass(frozen=True)
class Containerfile:
    """The instructions of one Containerfile, continued lines joined."""

    recipe: Recipe

    @property
    def lines(self) -> list[str]:
        text = (CHECKOUT / self.recipe.containerfile).read_text()
        return [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]

    def all(self, instruction: str) -> list[str]:
        return [
            line.removeprefix(instruction).strip()
            for line in self.lines
            if line.startswith(f"{instruction} ")
        ]

    @property
    def copied(self) -> list[str]:
        """Paths that it takes from the checkout."""
        words = [line.split() for line in self.all("COPY") if not line.startswith("--from")]
        return [source for *sources, _target in words for source in sources]

    @property
    def taken_tools(self) -> list[str]:
        found = [line.split() for line in self.all("COPY") if line.startswith("--from=tools")]
        return [source for _, *sources, _target in found for source in sources]


ALL = [pytest.param(Containerfile(recipe), id=recipe.name) for recipe in RECIPES]
PUBLISHED = [
    pytest.param(Containerfile(recipe), id=recipe.name) for recipe in RECIPES if recipe.is_published
]


def test_an_image_stands_on_what_was_built_before_it() -> None:
    built = {BASE}
    for recipe in RECIPES:
        assert recipe.stands_on in {*built, ""}, recipe.name
        assert bool(recipe.stands_on) == bool(recipe.argument), recipe.name
        built.add(recipe.name)
    assert {path.parent.name for path in CHECKOUT.glob("images/*/Containerfile")} == set(BY_NAME)


@pytest.mark.parametrize("file", ALL)
def test_a_containerfile_copies_what_its_recipe_names_and_nothing_else(file: Containerfile) -> None:
    """Else a change would not be noticed, or would build for nothing."""
    assert set(file.copied) == set(file.recipe.sources)
    assert set(file.taken_tools) == set(file.recipe.tools)


@pytest.mark.parametrize("file", ALL)
def test_it_stands_on_what_its_recipe_says(file: Containerfile) -> None:
    names = {line.split("=")[0] for line in file.all("ARG")}
    assert names == ({file.recipe.argument} if file.recipe.argument else set())
    bases = {line.split()[0] for line in file.all("FROM")}
    assert bases == ({f"${{{file.recipe.argument}}}"} if file.recipe.argument else {"scratch"})


@pytest.mark.parametrize("file", PUBLISHED)
def test_no_image_runs_as_root_and_every_one_is_labelled(file: Containerfile) -> None:
    user, *others = file.all("USER")
    assert others == []
    assert re.fullmatch(r"[1-9][0-9]+:[1-9][0-9]+", user), "a number: Kubernetes can check it"
    [labels] = file.all("LABEL")
    assert "org.opencontainers.image.title=" in labels


@pytest.mark.parametrize("file", ALL)
def test_packages_from_the_index_are_pinned_by_their_sums(file: Containerfile) -> None:
    installs = [line for line in file.all("RUN") if "pip install" in line]
    assert [line for line in installs if "--require-hashes" not in line] == []
    assert len(installs) == ("requirements.txt" in " ".join(file.recipe.sources))


@pytest.mark.parametrize("file", ALL)
def test_no_failing_step_hides_behind_a_pipe(file: Containerfile) -> None:
    """The builder's storage would keep it."""
    unquoted = [re.sub(r"'[^']*'", "", line) for line in file.all("RUN")]
    assert [line for line in unquoted if re.search(r"(?<!\|)\|(?!\|)", line)] == []


def test_the_builder_sees_every_source_and_no_caches() -> None:
    lines = [
        line
        for line in (CHECKOUT / ".containerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    admitted = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for source in {source for recipe in RECIPES for source in recipe.sources}:
        assert any(f"{source}/".startswith(f"{each}/") for each in admitted), source
    left_out = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    for name in ("__pycache__", *OF_EDITORS):
        assert any(fnmatch.fnmatch(name, each) for each in left_out), name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but what images are made of."""
    for recipe in RECIPES:
        for name in (recipe.containerfile, *recipe.sources):
            path = tmp_path / name
            if path.suffix or path.name == "Containerfile":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{name}\n")
            else:
                path.mkdir(parents=True, exist_ok=True)
                (path / "inside.py").write_text(f"{name}\n")
        for tool in recipe.tools:
            (tmp_path / "bin").mkdir(exist_ok=True)
            (tmp_path / "bin" / tool).write_text(tool)
    return tmp_path


def changed(checkout: Path, before: dict[str, str], base: str = "base") -> set[str]:
    after = recipes.keys(checkout, checkout / "bin", base)
    return {name for name, key in after.items() if before[name] != key}


def edits(checkout: Path) -> Iterator[tuple[str, Path, set[str]]]:
    services, the_operator = {"services"}, {"operator"}
    environments = {"services-environment", "operator-environment"}
    on_python = {"python", "postgres", *environments, *services, *the_operator}
    yield "one service's code", checkout / "services/plm/inside.py", services
    yield "code of both", checkout / "services/plm/wire/inside.py", {*services, *the_operator}
    yield "the operator's code", checkout / "operator/plmop/inside.py", the_operator
    yield "a migration", checkout / "migrations/inside.py", services
    yield "what all stand on", checkout / "images/python/Containerfile", on_python
    yield "a tool", checkout / "bin/caddy", {"caddy"}
    pins = checkout / "images/operator/requirements.txt"
    yield "pins", pins, {"operator-environment", *the_operator}


def test_a_change_touches_the_images_that_it_goes_into_and_those_above_them(
    checkout: Path,
) -> None:
    for what, path, touched in edits(checkout):
        before = dict(recipes.keys(checkout, checkout / "bin", "base"))
        path.write_text("changed\n")
        assert changed(checkout, before) == touched, what


def test_another_base_touches_all_that_stand_on_it(checkout: Path) -> None:
    before = dict(recipes.keys(checkout, checkout / "bin", "base"))
    on_it = {recipe.name for recipe in RECIPES if recipe.stands_on}
    assert changed(checkout, before, "another") == {BASE, *on_it}


def test_caches_and_times_touch_nothing_and_names_do(checkout: Path) -> None:
    before = dict(recipes.keys(checkout, checkout / "bin", "base"))
    cache = checkout / "services" / "plm" / "__pycache__"
    cache.mkdir()
    (cache / "inside.cpython-311.pyc").touch()
    (checkout / "services" / "plm" / "inside.py").touch()
    assert changed(checkout, before) == set()
    source = checkout / "services" / "plm" / "inside.py"
    source.rename(source.with_name("renamed.py"))
    assert changed(checkout, before) == {"services"}


def test_what_editors_put_beside_a_file_touches_nothing(checkout: Path) -> None:
    """It would be built, and its pods rolled, when a file is opened."""
    before = dict(recipes.keys(checkout, checkout / "bin", "base"))
    for name in OF_EDITORS:
        (checkout / "services" / "plm" / name).write_text("half a line")
    assert changed(checkout, before) == set()


def test_a_file_that_goes_while_it_is_looked_at_is_no_part_of_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(recipes.keys(checkout, checkout / "bin", "base"))
    listed = recipes.files_of

    def with_one_more(folder: Path, recipe: Recipe) -> list[Path]:
        return [*listed(folder, recipe), folder / "services" / "plm" / "4913"]

    monkeypatch.setattr(recipes, "files_of", with_one_more)
    assert changed(checkout, before) == set()


def test_migrations_have_a_key_of_their_own(checkout: Path) -> None:
    before = recipes.migrations_key(checkout)
    (checkout / "services/plm/inside.py").write_text("changed\n")
    assert recipes.migrations_key(checkout) == before
    (checkout / "migrations/inside.py").write_text("changed\n")
    assert recipes.migrations_key(checkout) != before


def test_content_cannot_pass_for_a_name() -> None:
    one = recipes.content_key([("a", b"x\nb\n"), ("c", b"")], [])
    two = recipes.content_key([("a", b"x"), ("b", b"\nc\n")], [])
    assert one != two
    assert recipes.content_key([], ["ab"]) != recipes.content_key([], ["a", "b"])


def test_the_containerfile_comes_first_and_the_rest_in_order(checkout: Path) -> None:
    files = recipes.files_of(checkout, SERVICES)
    assert files[0] == checkout / SERVICES.containerfile
    assert recipes.files_of(checkout, SERVICES) == files


def test_a_missing_tool_is_named_with_its_cure(checkout: Path) -> None:
    (checkout / "bin" / "caddy").unlink()
    with pytest.raises(KitError, match="the tool caddy is missing") as refused:
        recipes.keys(checkout, checkout / "bin", "base")
    assert refused.value.cure == "plm tools"
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT
