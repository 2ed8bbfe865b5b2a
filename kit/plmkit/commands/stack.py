"""`plm stack`: make the stack once, and the environment in which plain `pulumi` works on it."""

from pathlib import Path
from typing import Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_json, say
from plmkit.kubectl import chosen_context, with_context
from plmkit.stack import Workspace
from plmkit.state import find_places

_EXAMPLES = """
Examples:

  plm stack init              once: values, CA, passwords, an API key

  eval "$(plm stack env)"     then pulumi up, pulumi refresh, kubectl

  plm stack outputs -o json   what it tells: apiUrl, caBundle, namespace

  plm stack renew-ca          another CA; plm up then brings it in
"""

Context = Annotated[
    str | None,
    typer.Option("--context", envvar="PLM_CONTEXT", help="Kubeconfig context of another cluster."),
]
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="text or json.")]


def register(app: typer.Typer) -> None:
    """Add `plm stack`."""
    group = typer.Typer(
        help="The Pulumi stack: its files, its environment.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
    )
    group.command("init", epilog=_EXAMPLES)(init)
    group.command("env", epilog=_EXAMPLES)(env)
    group.command("outputs", epilog=_EXAMPLES)(outputs)
    group.command("renew-ca", epilog=_EXAMPLES)(renew_ca)
    app.add_typer(group, name="stack")


def init(
    context: Context = None,
    registry: Annotated[str, typer.Option(help="Registry for the images of that cluster.")] = "",
    api_url: Annotated[
        str,
        typer.Option(help="Where people reach the edge of that cluster: https://ADDRESS:30443."),
    ] = "",
    registry_login: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Docker configuration (config.json) with the login by which that cluster pulls.",
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make the stack where it is missing; an existing one keeps its secrets and takes what is given."""
    from plmkit.stack import making

    workspace = Workspace(find_places(), chosen_context(context))
    made = making.init(workspace, registry=registry, api_url=api_url, login_file=registry_login)
    if output is Output.JSON:
        emit_json({"stack": workspace.stack, "file": str(workspace.configuration), "made": made})
        return
    verb = "Made" if made else "Kept"
    emit(f"{verb} stack {workspace.stack}: {workspace.configuration}")


def env(context: Context = None, output: OutputOption = Output.TEXT) -> None:
    """Print the environment for plain `pulumi` and `kubectl`, for eval."""
    from plmkit.stack.target import check_target

    workspace = Workspace(find_places(), chosen_context(context))
    check_target(workspace)
    if not workspace.is_made:
        say(f"there is no stack yet; try: {with_context('plm stack init', workspace.context)}")
    if output is Output.JSON:
        emit_json({**workspace.variables(), "PATH_FIRST": workspace.search_path()})
        return
    for line in workspace.shell_lines():
        emit(line)


def outputs(context: Context = None, output: OutputOption = Output.TEXT) -> None:
    """Print what the deployed stack tells."""
    from plmkit.stack import pulumi
    from plmkit.stack.target import check_target

    workspace = Workspace(find_places(), chosen_context(context))
    check_target(workspace)
    if not workspace.is_made:
        cure = with_context("plm stack init", workspace.context)
        raise KitError("there is no stack yet", cure, ExitCode.UNFIT_ENVIRONMENT)
    found = pulumi.outputs(workspace)
    if output is Output.JSON:
        emit_json(found)
        return
    for name, value in sorted(found.items()):
        emit(f"{name}: {str(value).strip()}")


def renew_ca(
    context: Context = None,
    forget_old: Annotated[
        bool,
        typer.Option("--forget-old", help="Trust the new one alone, once all servers show it."),
    ] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make another CA for the stack; `plm up` then brings it in. Until --forget-old, plm trusts the old one as well."""
    from plmkit.stack import making

    workspace = Workspace(find_places(), chosen_context(context))
    if forget_old:
        making.forget_authorities(workspace)
    else:
        making.renew_authority(workspace)
    if output is Output.JSON:
        emit_json(
            {
                "stack": workspace.stack,
                "caFile": str(workspace.authority),
                "renewed": not forget_old,
            }
        )
    elif forget_old:
        emit(f"{workspace.authority} holds the CA of stack {workspace.stack} alone")
    else:
        emit(
            f"Made another CA for stack {workspace.stack}; next: {with_context('plm up', workspace.context)}"
        )
