"""Entry point of the `plm` command: builds the command tree and turns errors into exit codes."""

import signal
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from plmkit import commands
from plmkit.console import KitError, say

_EXAMPLES = """
Examples:

  plm up                      from nothing to a running platform

  plm demo                    kill a node while it holds money; it settles

  plm pay A D 10000.00 USD    one payment; --file for thousands

  plm status                  what runs, what is wrong, what to do next

  plm COMMAND --help          options and examples of one command
"""


class _Commands(TyperGroup):
    """The tree. Typer by itself would end an interrupted command without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("plm: interrupted; run the same command again to go on")
            raise typer.Exit(130) from None


APP = typer.Typer(
    name="plm",
    cls=_Commands,
    help="Start, watch and prove a payment mesh on Kubernetes.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run `plm`. Ctrl-C, or SIGTERM, exits with 130 and leaves what runs in the background running."""
    # Whoever is told to end takes its children along: a compiler, for example.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commands.register_all(APP)
    try:
        APP()
    except KitError as error:
        say(f"plm: {error.what}")
        say(f"  try: {error.cure}")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
