"""`plm dev`: save a file, and it runs in its pods a few seconds later."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, say
from plmkit.kubectl import chosen_context
from plmkit.state import find_places

if TYPE_CHECKING:
    from plmkit.developing import Round

_EXAMPLES = """
Examples:

  plm dev           watch until Ctrl-C

  plm dev --once    bring what has changed since the last build, and end
"""

_LOOK_EVERY_S = 0.1
# An editor writes several files at once: take them together.
_QUIET_S = 0.1
_WATCHED = ("services/plm", "operator/plmop", "images", "migrations")


def register(app: typer.Typer) -> None:
    """Add `plm dev`."""
    app.command("dev", epilog=_EXAMPLES)(dev)


def dev(
    once: Annotated[bool, typer.Option(help="One round, without watching.")] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Build what has changed into images, import what is new of them, and roll the pods that run them.

    Where that takes more than new pods, such as a migration or a new image of a store, Pulumi does it.
    """
    places = find_places()
    if chosen_context(None) is not None:
        raise KitError(
            "plm dev works on the embedded cluster alone, and PLM_CONTEXT names another",
            "env -u PLM_CONTEXT plm dev",
            ExitCode.WRONG_USAGE,
        )
    if not places.kubeconfig.exists():
        raise KitError(
            "there is no embedded cluster to develop on", "plm up", ExitCode.UNFIT_ENVIRONMENT
        )
    # Now: whoever has saved a file waits for the round.
    from plmkit.commands.up import deploy
    from plmkit.developing import bring, tidy
    from plmkit.stack import Workspace

    workspace = Workspace(places)
    # Looked at before we say so: what is saved from that moment on is seen.
    rounds = iter([None]) if once else _changes(places.checkout, _stamps(places.checkout))
    if not once:
        say(f"watching {', '.join(_WATCHED)}; Ctrl-C ends")
    for _ in rounds:
        began = time.monotonic()
        try:
            done = bring(workspace, deploy)
            _tell(done, round(time.monotonic() - began, 1), output)
            tidy(workspace)
        except (KitError, OSError) as error:
            if once:
                raise
            # A file saved half-way: the next save mends it.
            say(f"plm: {error}")


def _tell(done: "Round", seconds: float, output: Output) -> None:
    if output is Output.JSON:
        # One line each: a stream has no end to wait for.
        round_ = {"rolled": done.rolled, "whyPulumi": done.why_pulumi, "seconds": seconds}
        emit(json.dumps(round_))
        return
    names = ", ".join(done.rolled) or ("all" if done.why_pulumi else "nothing to be")
    how = f" by pulumi, as {done.why_pulumi}," if done.why_pulumi else ""
    emit(f"{names} rolled{how} in {seconds} s")


def _changes(checkout: Path, seen: Mapping[Path, int]) -> Iterator[None]:
    """One item per burst of changes since the stamps that were seen."""
    while True:
        time.sleep(_LOOK_EVERY_S)
        now = _stamps(checkout)
        if now == seen:
            continue
        while (later := _after_a_moment(checkout)) != now:
            now = later
        seen = now
        yield


def _after_a_moment(checkout: Path) -> Mapping[Path, int]:
    time.sleep(_QUIET_S)
    return _stamps(checkout)


def _stamps(checkout: Path) -> Mapping[Path, int]:
    from plmkit.images.recipes import sources_in

    found = {}
    for folder in _WATCHED:
        for path in sources_in(checkout / folder):
            # An editor puts files there for a moment.
            with suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime_ns
    return found
