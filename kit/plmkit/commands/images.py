"""`plm images`: build the container images that have changed, without registry or daemon."""

from typing import Annotated

import typer

from plmkit.console import Output, emit_json, emit_table, say
from plmkit.state import find_places

_EXAMPLES = """
Examples:

  plm images                                   build what has changed

  plm images --push registry.example.com/plm   and copy them to a registry
"""


def register(app: typer.Typer) -> None:
    """Add `plm images`."""
    app.command("images", epilog=_EXAMPLES)(images)


def images(
    push: Annotated[str, typer.Option(help="Registry and path to copy the images to.")] = "",
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Build the images that have changed and tell their references."""
    from plmkit import images as workshop
    from plmkit import registries
    from plmkit.commands.tools import Progress
    from plmkit.tools import ensure as ensure_tools

    if push:
        registries.check(push)
    places = find_places()
    ensure_tools(places, display=Progress())
    built = workshop.ensure(places, say=say)
    references = {name: image.reference for name, image in built.items()}
    if push:
        references = workshop.push(places, push, built)
    if output is Output.JSON:
        emit_json(
            {
                name: {"reference": references[name], "buildSeconds": image.seconds}
                for name, image in built.items()
            }
        )
        return
    rows = [(name, references[name], f"{image.seconds:.0f}") for name, image in built.items()]
    emit_table(("IMAGE", "REFERENCE", "BUILD S"), rows)
