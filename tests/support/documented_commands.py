"""The documented commands of this checkout: which are run as they stand, and which another test runs, and why."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support.documentation import Command, commands, pages

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Elsewhere:
    """The test that runs a command in place of ours. `proof`: what in that test's own text does it."""

    test: str
    proof: str
    because: str


_HERE = "tests/test_documented_commands.py"
_STACK = "tests/cluster/test_stack.py"

# A command that is not here is run by tests/cluster/test_documented_commands.py.
ELSEWHERE: dict[str, Elsewhere] = {
    "make test": Elsewhere(
        f"{_HERE}::test_make_test_runs_every_test",
        'recipe_of("test")',
        "it is what runs these tests: within itself it would never end",
    ),
    "make check": Elsewhere(
        f"{_HERE}::test_make_check_is_the_whole_gate",
        'recipe_of("check")',
        "make test has run it before it comes here",
    ),
    "make fmt": Elsewhere(
        f"{_HERE}::test_make_fmt_formats",
        '"fmt"',
        "it writes into the checkout: it is run on a copy",
    ),
    "plm down": Elsewhere(
        "tests/cluster/test_lifecycle.py::test_down_keeps_the_ledger_and_up_brings_it_back",
        'plm_json("down")',
        "everything after it would have no cluster",
    ),
    "pulumi up": Elsewhere(
        f"{_STACK}::test_a_second_up_changes_nothing",
        'pulumi(platform, "up"',
        "it asks on the terminal before it begins",
    ),
    "pulumi refresh": Elsewhere(
        f"{_STACK}::test_refresh_finds_no_drift",
        'pulumi(platform, "refresh"',
        "it asks on the terminal before it begins",
    ),
}

# How many payments are in the file of a person, as the test makes it.
PAYMENTS = 24
# What a page says of a command beside it, and its output must show.
SAYS = {
    "make up": "ledger verified",
    "plm status": "all well",
    "plm pay A D 10000.00 USD": "settled",
    "plm verify ledger": "ledger verified",
    "kubectl get plm -n plm": "Ready",
    "plm pay --file payments.csv": f"{'settled':<12} {PAYMENTS}",
    "plm pay bert clara 100.00 USD": "settled",
}

# Goes on until it is told to end: run until it has shown what it should, then stopped.
ENDLESS = "plm logs gateway -f"


@cache
def documented() -> tuple[Command, ...]:
    """Every command of every page, in the order in which a person reads them."""
    return tuple(
        command
        for page in pages(ROOT)
        for command in commands(str(page.relative_to(ROOT)), page.read_text())
    )


def run_as_they_stand() -> list[Command]:
    """Those that end by themselves and that no other test runs."""
    return [each for each in documented() if each.text not in {*ELSEWHERE, ENDLESS}]
