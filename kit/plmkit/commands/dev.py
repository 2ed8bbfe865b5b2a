"""`plm dev`: save a file, and it runs in its pods a few seconds later."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_json, say
from plmkit.kubectl import chosen_context
from plmkit.state import Places, find_places

_EXAMPLES = """
Examples:

  plm dev           watch until Ctrl-C

  plm dev --once    bring what has changed since the last build, and end
"""

_LOOK_EVERY_S = 0.2
# An editor writes several files at once: take them together.
_QUIET_S = 0.2
_WATCHED = ("services/plm", "operator/plmop", "images", "migrations")


def register(app: typer.Typer) -> None:
    """Add `plm dev`."""
    app.command("dev", epilog=_EXAMPLES)(dev)


def dev(
    once: Annotated[bool, typer.Option(help="One round, without watching.")] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Build changed services into images, import what is new of them, and roll the pods that run them."""
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
    # Looked at before we say so: what is saved from that moment on is seen.
    rounds = iter([None]) if once else _changes(places.checkout, _stamps(places.checkout))
    if not once:
        say(f"watching {', '.join(_WATCHED)}; Ctrl-C ends")
    for _ in rounds:
        began = time.monotonic()
        try:
            rolled = _bring(places)
        except KitError as error:
            if once:
                raise
            # A file saved half-way: the next save mends it.
            say(f"plm: {error.what}")
            continue
        seconds = round(time.monotonic() - began, 1)
        if output is Output.JSON:
            emit_json({"rolled": rolled, "seconds": seconds})
        else:
            emit(f"{', '.join(rolled) or 'nothing'} rolled in {seconds} s")


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
    found = {}
    for folder in _WATCHED:
        for path in (checkout / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                found[path] = path.stat().st_mtime_ns
    return found


def _bring(places: Places) -> list[str]:
    from plmkit import images
    from plmkit.localcluster import LocalCluster
    from plmkit.rolling import roll
    from plmkit.stack import Workspace
    from plmkit.stack.making import set_images

    built = images.ensure(places, say=say)
    images.load(places, LocalCluster(places, places.cache / "tools" / "bin"), built)
    references = {name: image.reference for name, image in built.items()}
    workspace = Workspace(places)
    # The stack must say what runs, or the next `plm up` would take it back; and that `plm up` must look for itself.
    set_images(workspace, references)
    workspace.rolled.touch()
    return roll(places, references)
