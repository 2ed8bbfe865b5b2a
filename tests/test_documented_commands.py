"""No command stands on a page that nobody runs, and nothing that a page names is missing.

The commands themselves run on the cluster: tests/cluster/test_documented_commands.py.
"""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer.main
from plmkit import commands
from plmkit.__main__ import APP
from plmkit.images.recipes import RECIPES
from plmkit.tools.recipes import FAMILIES
from support.documentation import hidden, mentions, pages
from support.documented_commands import (
    ELSEWHERE,
    ENDLESS,
    ROOT,
    SAYS,
    documented,
    run_as_they_stand,
)
from support.makefile import make, recipe_of

ON_THE_CLUSTER = "tests/cluster/test_documented_commands.py"
_FOLDERS = (
    "bench|charts|docs|examples|images|infra|kit|migrations|operator|services|tests|toolchain"
)
_PATH = re.compile(rf"({_FOLDERS})/[\w./-]+")
# A decision and a change tell of their time; every other page tells of now.
_OF_THEIR_TIME = ("decisions", "CHANGELOG.md")
EVERY_PAGE = pages(ROOT)
PAGES_OF_NOW = [page for page in EVERY_PAGE if not {*page.parts} & {*_OF_THEIR_TIME}]


def collected(*node_ids: str) -> list[str]:
    """What pytest finds under these ids; it ends with an error for one that names nothing."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
            *node_ids,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


def text_of(test: str) -> str:
    """The source of a test function."""
    file, _, name = test.partition("::")
    source = (ROOT / file).read_text()
    [found] = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name
    ]
    return ast.get_source_segment(source, found) or ""


def test_every_command_is_run_or_stands_elsewhere() -> None:
    """Asked of pytest itself: what it would run on the cluster is what the pages say."""
    found = collected(ON_THE_CLUSTER, *(each.test for each in ELSEWHERE.values()))
    run = {
        line.partition("[")[2].removesuffix("]")
        for line in found
        if line.startswith(ON_THE_CLUSTER)
    }
    expected = {f"{each.page}:{each.line} {each.text}" for each in run_as_they_stand()}
    assert run - {""} == expected
    texts = {each.text for each in documented()}
    assert texts >= SAYS.keys()
    assert {each.text for each in run_as_they_stand()} | ELSEWHERE.keys() | {ENDLESS} == texts


def test_whoever_runs_a_command_elsewhere_does_so() -> None:
    for command, elsewhere in ELSEWHERE.items():
        assert elsewhere.proof in text_of(elsewhere.test), f"{command}: see {elsewhere.test}"
        assert elsewhere.because


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_no_command_hides_in_a_block_that_is_not_run(page: Path) -> None:
    assert hidden(page.read_text()) == []


def option_names(command: object) -> set[str]:
    return {
        name
        for parameter in getattr(command, "params", ())
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help", "--install-completion"}


@cache
def tree() -> object:
    """All commands of plm, and what may stand before them."""
    commands.register_all(APP)
    return typer.main.get_command(APP)


def complaint(words: list[str]) -> str:
    """What is wrong with a `plm …`; empty for nothing. Words in capitals stand for what a person fills in."""
    command = tree()
    for word in words:
        inner = getattr(command, "commands", None)
        if word.startswith("-"):
            if word.partition("=")[0] not in option_names(command):
                return f"{word} is no option"
        elif inner is not None:
            if word.isupper():
                return ""
            if word not in inner:
                return f"{word} is no command"
            command = inner[word]
    return ""


def within(page: Path, program: str) -> list[list[str]]:
    """The words behind a program's name, wherever the page has it: in blocks, sentences and tables."""
    spans = [*mentions(page.read_text())]
    spans += [each.text for each in documented() if each.page == str(page.relative_to(ROOT))]
    parts = [
        part.strip().removeprefix(".venv/bin/")
        for span in spans
        for part in re.split(r"&&|[;|()]", span)
    ]
    return [shlex.split(part)[1:] for part in parts if part.startswith(f"{program} ")]


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_plm_has_every_command_and_option_that_a_page_names(page: Path) -> None:
    found = {" ".join(words): complaint(words) for words in within(page, "plm")}
    assert {words: wrong for words, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["status"], ""),
        (["COMMAND", "--help"], ""),
        (["logs", "NODE", "--previous"], ""),
        (["stack", "init", "--context", "NAME"], ""),
        (["nothing"], "nothing is no command"),
        (["stack", "nothing"], "nothing is no command"),
        (["up", "--nothing"], "--nothing is no option"),
    ],
)
def test_what_plm_does_not_have_is_noticed(words: list[str], wrong: str) -> None:
    assert complaint(words) == wrong


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_make_has_every_target_that_a_page_names(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [words[0] for words in within(page, "make") if words[0] not in targets] == []


@pytest.mark.parametrize("page", PAGES_OF_NOW, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    made = (ROOT / ".gitignore").read_text().split()
    named = {text for text in mentions(page.read_text()) if _PATH.fullmatch(text)}
    missing = [text for text in named if not (ROOT / text).exists() and f"{text}/" not in made]
    assert [text for text in missing if "NNN" not in text] == []


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").read_text().count("\n") <= 120


def test_measurements_have_a_line_for_every_tool_and_image() -> None:
    page = (ROOT / "docs" / "measurements.md").read_text()
    for title, recipes in (("Tools", FAMILIES), ("Images", RECIPES)):
        section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        lines = re.findall(r"^\| ([a-z-]+) \|", section, re.MULTILINE)
        assert [line for line in lines if line not in {"tool", "image", "figure"}] == [
            each.name for each in recipes
        ]


def test_no_recipe_has_more_than_eight_steps() -> None:
    """If it grows, the design is wrong."""
    recipes = (ROOT / "CONTRIBUTING.md").read_text().split("\n## ")[1:]
    steps = {
        each.partition("\n")[0]: len(re.findall(r"^\d+\. ", each, re.MULTILINE)) for each in recipes
    }
    assert len(steps) == 5
    assert {title: count for title, count in steps.items() if not 1 <= count <= 8} == {}


def leaves(command: object) -> list[object]:
    inner = getattr(command, "commands", None)
    return [leaf for each in inner.values() for leaf in leaves(each)] if inner else [command]


def test_every_command_answers_in_json() -> None:
    """As the README says."""
    without = [leaf for leaf in leaves(tree()) if "--output" not in option_names(leaf)]
    assert without == []


def test_make_check_is_the_whole_gate() -> None:
    recipe = recipe_of("check")
    for step in (
        "ruff check .",
        "ruff format --check .",
        "mypy .",
        "lint-imports",
        "codespell",
        "lock --check",
        'pytest -q -n auto --dist loadfile --max-worker-restart=0 -m "not stores and not cluster"',
    ):
        assert step in recipe


def test_make_test_runs_every_test(request: pytest.FixtureRequest) -> None:
    """The gate first, then the tests of every marker; continuous integration runs this and nothing else."""
    recipe = recipe_of("test")
    assert recipe.startswith(recipe_of("check"))
    markers = [line.partition(":")[0] for line in request.config.getini("markers")]
    ours = [name for name in markers if f"not {name}" in recipe]
    assert ours == ["stores", "cluster"]
    assert all(f"pytest -m {name}\n" in recipe for name in ours)
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in script if not line.startswith("#")] == ["exec make test"]


def test_make_fmt_formats(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    untidy = tmp_path / "untidy.py"
    untidy.write_text('"""A module."""\nimport os\nx = {  "a":1 }\n')
    make(tmp_path, "fmt")
    assert untidy.read_text() == '"""A module."""\n\nx = {"a": 1}\n'
