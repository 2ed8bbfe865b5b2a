"""Entry point of the `plm` command: builds the command tree and turns errors into exit codes."""

import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from plmkit import commands
from plmkit.console import ExitCode, KitError, emit, say

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
        except (KeyboardInterrupt, typer.Abort):  # Abort: at a question
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


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        from importlib import metadata  # noqa: PLC0415 - few ask

        emit(metadata.version("plm"))
        raise typer.Exit


@APP.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print its version.", callback=_tell_version, is_eager=True),
    ] = False,
) -> None:
    """What stands before the command."""


def main() -> None:
    """Run `plm`. Ctrl-C, or SIGTERM, exits with 130 and leaves what runs in the background running."""
    # Whoever is told to end takes its children along: a compiler, for example.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commands.register_all(APP)
    try:
        APP()
    except Exception as error:  # noqa: BLE001 - the last place: no fault may end like a check that failed
        told = _told(error)
        say(f"plm: {told.what}")
        say(f"  try: {told.cure}")
        sys.exit(told.exit_code)


def _told(error: Exception) -> KitError:
    if isinstance(error, KitError):
        return error
    if isinstance(error, OSError) and error.strerror:
        # Where it was to be expected it was caught; here a disk is full, or a folder is not for us.
        # Of a copy it may be the second that has no room.
        files = " to ".join(str(file) for file in (error.filename, error.filename2) if file)
        what = f"{files}: {error.strerror}" if files else error.strerror
        cure = "mend that, then the same command again"
        return KitError(what, cure, ExitCode.UNFIT_ENVIRONMENT)
    say("".join(traceback.format_exception(error)).rstrip())
    cure = "report it with the lines above"
    return KitError("this is a fault of plm itself", cure, ExitCode.OWN_FAULT)


if __name__ == "__main__":
    main()
