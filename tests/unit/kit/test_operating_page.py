"""docs/operating.md tells the truth about commands, exit codes and result states."""

import re
from pathlib import Path

import typer
import typer.main
from plmkit import commands
from plmkit.console import ExitCode
from plmkit.result_file import FINAL_STATES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "operating.md").read_text()


def test_the_page_has_every_command_and_no_other() -> None:
    app = typer.Typer()
    commands.register_all(app)
    names = set(getattr(typer.main.get_command(app), "commands", {}))
    assert names == set(re.findall(r"^\| `plm ([a-z]+)` \|", PAGE, re.MULTILINE))


def test_every_exit_code_is_on_the_page() -> None:
    section = PAGE.partition("## Exit codes")[2].partition("##")[0]
    assert {int(code) for code in re.findall(r"^\| ([0-9]+) \|", section, re.MULTILINE)} == {
        *map(int, ExitCode),
        130,
    }


def test_final_states_are_the_ones_that_are_not_asked_again() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| .* \| (no|yes.*|once.*) \|$", PAGE, re.MULTILINE)
    assert {state for state, again in rows if not again.startswith("yes")} == FINAL_STATES
    assert {state for state, again in rows if again.startswith("yes")} == {"unfinished", "unknown"}
