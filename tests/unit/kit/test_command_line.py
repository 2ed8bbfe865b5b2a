"""The command tree answers at once: help imports nothing heavy; every command has examples and exit codes hold."""

import subprocess
import sys

import pytest
import typer.main
from plmkit import commands

# Each of these costs more than all of `plm --help` may; measured by import time.
HEAVY = (
    "httpx",
    "yaml",
    "cryptography",
    "lightkube",
    "kopf",
    "grpc",
    "pulumi",
    "rich.progress",
)


def command_names() -> list[list[str]]:
    """Every command as the words that a person types."""
    app = typer.Typer()
    commands.register_all(app)
    found: list[list[str]] = [[]]

    def walk(command: object, words: list[str]) -> None:
        for name, child in getattr(command, "commands", {}).items():
            found.append([*words, name])
            walk(child, [*words, name])

    walk(typer.main.get_command(app), [])
    return found


@pytest.mark.parametrize("words", command_names(), ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from plmkit.__main__ import main\n"
        "sys.argv = ['plm', *sys.argv[1:], '--help']\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
