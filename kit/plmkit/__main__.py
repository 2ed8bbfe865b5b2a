"""Entry point of the `plm` command: builds the command tree and turns errors into exit codes."""

import signal
import sys

import typer

from plmkit import commands
from plmkit.console import KitError, say

APP = typer.Typer(
    name="plm",
    help="Start, watch and prove a payment mesh on Kubernetes.",
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
    except KeyboardInterrupt:
        say("plm: interrupted; run the same command again to go on")
        sys.exit(130)


if __name__ == "__main__":
    main()
