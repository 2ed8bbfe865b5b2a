"""The command tree answers at once: help imports nothing heavy; every command has examples and takes -o json."""

import os
import pkgutil
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer.main
from plmkit import commands
from plmkit.__main__ import APP
from support.kit_process import PLM

# Each of these costs more than all of `plm --help` may; measured by import time. What Typer itself draws help and reads
# values with, parts of rich and pydantic, is not among them.
HEAVY = (
    "httpx",
    "yaml",
    "cryptography",
    "lightkube",
    "kopf",
    "grpc",
    "pulumi",
    "pydantic_settings",
    "asyncpg",
    "nats",
    "fastapi",
    "rich.progress",
    "plmkit.localcluster",
)


def tree() -> Any:
    """The whole command, as `plm` runs it."""
    app = typer.Typer(epilog=APP.info.epilog)
    commands.register_all(app)
    return typer.main.get_command(app)


def walk(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that a person types."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*words, name))


ALL = dict(walk(tree()))
LEAVES = [words for words, command in ALL.items() if not hasattr(command, "commands")]


def examples(command: Any) -> list[str]:
    """The lines under Examples."""
    _, _, text = (command.epilog or "").partition("Examples:\n")
    return [line for line in text.splitlines() if line.strip()]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_has_examples_takes_json_and_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from plmkit.__main__ import main\n"
        "sys.argv = ['plm', *sys.argv[1:], '--help']\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = run(program, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    assert "Examples:" in done.stdout
    for example in examples(ALL[words]):
        assert example.strip() in done.stdout, "an example that is broken over two lines"
    if words in LEAVES:
        assert re.search(r"--output +-o +<text\|json>", done.stdout), "no -o json"


def test_a_command_s_module_does_not_draw_before_it_is_asked() -> None:
    """Half of the time that help takes is rich's: whoever pays, in a script, must not wait for it."""
    program = (
        "import sys\n"
        "from plmkit.__main__ import APP\n"
        "from plmkit import commands\n"
        "commands.register_all(APP)\n"
        "print([name for name in ('rich', 'pydantic', 'plm.wire') if name in sys.modules])\n"
    )
    assert run(program).stdout.strip() == "[]"


def test_every_module_of_commands_is_a_command() -> None:
    modules = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert {words[0] for words in ALL if words} == modules


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_examples_are_commands_that_there_are(words: tuple[str, ...]) -> None:
    lines = examples(ALL[words])
    assert lines
    typed = [line.strip() for line in lines if "COMMAND" not in line]
    for line in typed:
        found = re.match(r'(?:eval "\$\()?plm ([a-z]+)', line)
        assert found, line
        assert (found[1],) in ALL, line
    # Those of the command itself come first.
    assert typed[0].startswith(" ".join(("plm", *words[:1])))


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_option_says_what_it_does(words: tuple[str, ...]) -> None:
    silent = [each.name for each in ALL[words].params if not getattr(each, "help", "")]
    assert silent == []
    assert ALL[words].help


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_completes_commands(shell: str) -> None:
    """As the script does that `plm --install-completion` puts in place."""
    asked = {
        "_PLM_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "plm st",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "plm st",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    plm = Path(sys.executable).with_name("plm")
    done = subprocess.run(
        [plm], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    offered = set(re.findall(r"[a-z]+", done.stdout))
    assert {"status", "stack"} <= offered
    assert "verify" not in offered


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """What a person sees who types this."""
    terminal, ours = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "HOME": "/nonexistent"}
    with subprocess.Popen(
        [*PLM, *arguments],
        env={**environment, **variables},
        stdin=ours,
        stdout=ours,
        stderr=ours,
        close_fds=True,
    ) as process:
        os.close(ours)
        seen = b""
        while select.select([terminal], [], [], 30)[0]:
            try:
                seen += os.read(terminal, 65_536)
            except OSError:  # the other end is closed
                break
        process.wait(30)
    os.close(terminal)
    return seen.decode()


def test_no_color_is_honoured() -> None:
    colour = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])")
    assert colour.search(on_a_terminal("nonsense")), "nothing to switch off"
    assert not colour.search(on_a_terminal("nonsense", NO_COLOR="1"))
    assert not colour.search(on_a_terminal("--help", NO_COLOR="1"))


def test_it_tells_its_version() -> None:
    done = subprocess.run([*PLM, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{metadata.version('plm')}\n"


def test_what_goes_into_a_file_is_plain() -> None:
    done = subprocess.run([*PLM, "--help"], capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
