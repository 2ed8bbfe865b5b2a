"""The house style as a test: sizes, names, charters, forbidden calls, and a map of files that tells the truth."""

import ast
import importlib.util
import operator as operator_module
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOMES = ("infra", "operator", "services", "kit")
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 256 * 1024
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$|^uv\.lock$|go\.sum$|package-lock\.json$")
JUNK_NAMES = {"utils", "util", "common", "helpers", "misc", "core", "manager"}


def tracked(*suffixes: str) -> list[Path]:
    """Files git knows or would add, generated ones left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    files = [name for name in listed if (ROOT / name).is_file() and not GENERATED.search(name)]
    return [ROOT / name for name in files if not suffixes or name.endswith(suffixes)]


def python_files() -> list[Path]:
    return tracked(".py")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names that are called, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def test_homes_are_not_packages() -> None:
    """`operator` stays the standard library's, whatever lies in the root."""
    assert [home for home in HOMES if (ROOT / home / "__init__.py").exists()] == []
    assert Path(operator_module.__file__ or "").is_relative_to(sys.base_prefix)


def test_files_and_functions_stay_small() -> None:
    too_long = []
    for path in python_files():
        text = path.read_text()
        if text.count("\n") > FILE_LINES_MAX:
            too_long.append(f"{relative(path)}: {text.count(chr(10))} lines")
        for function in functions(ast.parse(text)):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > FUNCTION_LINES_MAX:
                too_long.append(f"{relative(path)}:{function.lineno} {function.name}: {length}")
    assert too_long == []


def test_go_files_stay_small() -> None:
    long_files = [
        relative(path) for path in tracked(".go") if path.read_text().count("\n") > FILE_LINES_MAX
    ]
    assert long_files == []


def test_no_large_files() -> None:
    assert [relative(path) for path in tracked() if path.stat().st_size > FILE_BYTES_MAX] == []


def test_every_module_has_a_charter() -> None:
    """A module says in its first lines what lives in it."""
    without = [
        relative(path)
        for path in python_files()
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert without == []


def test_public_functions_and_classes_of_packages_are_documented() -> None:
    undocumented = []
    for path in python_files():
        if relative(path).split("/")[0] not in HOMES:
            continue
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if not node.name.startswith("_") and ast.get_docstring(node) is None:
                undocumented.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert undocumented == []


def test_no_junk_drawers() -> None:
    assert [relative(path) for path in python_files() if path.stem in JUNK_NAMES] == []


def test_no_banned_calls() -> None:
    """print goes through plmkit.console or the log; the wall clock comes in as an argument."""
    found = []
    for path in python_files():
        top = relative(path).split("/")[0]
        for name, line in calls(ast.parse(path.read_text())):
            if name == "print" and top in HOMES:
                found.append(f"{relative(path)}:{line} print: log or plmkit.console")
            if name in {"datetime.now", "datetime.utcnow"} and top == "services":
                found.append(f"{relative(path)}:{line} {name}: take the clock as an argument")
            if name == "time.sleep" and top == "tests":
                found.append(f"{relative(path)}:{line} time.sleep: wait for a condition")
    assert found == []


def test_environment_is_read_by_settings_only() -> None:
    """Services and operator take their settings by pydantic; `os.environ` hides a setting from the chart's contract."""
    offenders = [
        relative(path)
        for path in python_files()
        if relative(path).startswith(("services/", "operator/"))
        and re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    ]
    assert offenders == []


def test_no_leftovers() -> None:
    """No marker of unfinished work, no machine path, in anything that is committed."""
    marker = re.compile(r"\b(FIX" + r"ME|TO" + r"DO|XX" + r"X)\b|/wo" + r"rk/|/ro" + r"ot/")
    found = []
    for path in tracked(".py", ".md", ".go", ".yaml", ".sql", ".toml", ".proto", ".sh"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if marker.search(line):
                found.append(f"{relative(path)}:{number}")
    assert found == []


def test_migration_numbers_are_used_once() -> None:
    numbers = [path.name[:3] for path in (ROOT / "migrations").glob("*/[0-9]*_*.sql")]
    assert numbers
    assert len(numbers) == len(set(numbers))


def test_every_public_folder_is_on_the_map() -> None:
    """docs/architecture.md names each package and each top-level folder."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    folders = {relative(path).split("/")[0] for path in tracked() if "/" in relative(path)}
    packages = {relative(path.parent) for path in python_files() if path.name == "__init__.py"}
    named = {folder for folder in folders if not folder.startswith(".")} | {
        package for package in packages if package.split("/")[0] in HOMES
    }
    assert [name for name in sorted(named) if f"`{name}" not in page] == []


def test_the_map_names_only_what_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    paths = re.findall(
        r"`((?:infra|operator|services|kit|tests|charts|bench|images)/[\w./-]+)`", page
    )
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("package", ["plm", "plmop", "plminfra", "plmkit"])
def test_importing_opens_no_socket(package: str) -> None:
    """Importing any module does nothing: no client, no connection, no settings."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    modules = sorted(
        ".".join((package, *path.relative_to(folder).with_suffix("").parts))
        for path in folder.rglob("*.py")
        if path.name not in {"__main__.py", "__init__.py"}
    )
    program = (
        "import socket, importlib, sys\n"
        "def refuse(*_a, **_k): raise AssertionError('a socket was opened on import')\n"
        "socket.socket.connect = socket.socket.bind = refuse\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *modules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
