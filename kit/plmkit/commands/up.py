"""`plm up`: from nothing to a running platform, each step done only where it is needed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_json, is_interactive, say
from plmkit.kubectl import chosen_context, with_context
from plmkit.stack import Workspace
from plmkit.state import Places, find_places

if TYPE_CHECKING:
    from plmkit.localcluster import LocalCluster

# The operator starts all nodes anew at once; on two cores fifty take a minute and a half.
_NODES_S = 180.0
_EXAMPLES = """
Examples:

  plm up                   tools, images, the embedded cluster, pulumi up

  plm up --context prod    the cluster of that kubeconfig context

  plm up --take-over       stop another installation's cluster first
"""


def register(app: typer.Typer) -> None:
    """Add `plm up`."""
    app.command("up", epilog=_EXAMPLES)(up)


class _Steps:
    """Says what is being done and keeps what each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 1)
        say(f"{name}: {self.seconds[name]} s")


def up(
    context: Annotated[
        str | None, typer.Option(help="Kubeconfig context; without one, the embedded cluster.")
    ] = None,
    take_over: Annotated[
        bool, typer.Option(help="Stop the embedded cluster of another installation first.")
    ] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Bring everything up. Interrupted or half done, the same command goes on; done, it changes nothing."""
    from plmkit.stack import making
    from plmkit.stack.target import check_target

    places = find_places()
    workspace = Workspace(places, chosen_context(context))
    check_target(workspace)
    steps = _Steps()
    with steps.step("doctor"):
        _examine(places, is_embedded=workspace.context is None)
    # Asked for now: it would be a pity after twenty minutes of building.
    if workspace.context is None and not take_over:
        _local_cluster(places).refuse_another()
    registry = "" if workspace.context is None else _registry(workspace)
    # Likewise; but kubectl may be among the tools.
    known = workspace.context is None or _look_at_cluster(workspace)
    _provide_tools(places, steps)
    if not known:
        _look_at_cluster(workspace)
    references = _provide_images(workspace, steps, registry, take_over=take_over)
    with steps.step("stack"):
        making.init(workspace)
        making.set_images(workspace, references)
    with steps.step("pulumi up"):
        deploy(workspace)
    with steps.step("nodes"):
        _follow_nodes(workspace)
    _finish(workspace, steps, output)


def _examine(places: Places, *, is_embedded: bool) -> None:
    from plmkit.doctor import examine

    failures = [finding for finding in examine(places, is_embedded=is_embedded) if finding.is_fatal]
    if failures:
        first = failures[0]
        raise KitError(
            "; ".join(finding.what for finding in failures), first.cure, ExitCode.UNFIT_ENVIRONMENT
        )


def _local_cluster(places: Places) -> "LocalCluster":
    from plmkit.localcluster import LocalCluster

    return LocalCluster(places, places.cache / "tools" / "bin")


def _provide_tools(places: Places, steps: _Steps) -> None:
    from plmkit.commands.tools import Progress
    from plmkit.tools import ensure

    with steps.step("tools"):
        ensure(places, display=Progress())


def _registry(workspace: Workspace) -> str:
    from plmkit import registries
    from plmkit.stack.edge_address import check_given
    from plmkit.stack.making import configured

    made = workspace.configuration.exists()
    registry = configured(workspace, "registry") if made else ""
    if not registry:
        raise KitError(
            "the stack names no registry for the images",
            with_context("plm stack init", workspace.context)
            + " --registry REGISTRY/PATH --api-url https://ADDRESS:30443",
            ExitCode.WRONG_USAGE,
        )
    registries.check(registry)
    check_given(configured(workspace, "apiUrl"), workspace.context)
    return registry


def _look_at_cluster(workspace: Workspace) -> bool:
    """Whether it could be looked at: not without kubectl. Raises KitError where nothing can be deployed to it."""
    from plmkit.kubectl import find_kubectl, has_kubectl
    from plmkit.stack import vacancy

    if not has_kubectl(workspace.places):
        return False
    vacancy.check(workspace, find_kubectl(workspace.places, workspace.context))
    return True


def _provide_images(
    workspace: Workspace, steps: _Steps, registry: str, *, take_over: bool
) -> dict[str, str]:
    from plmkit import images

    places = workspace.places
    with steps.step("images"):
        built = images.ensure(places, say=say)
    if workspace.context is None:
        cluster = _local_cluster(places)
        with steps.step("cluster"):
            cluster.start(take_over=take_over, progress=say)
        with steps.step("import"):
            images.load(places, cluster, built)
        return {name: image.reference for name, image in built.items()}
    with steps.step("push"):
        return images.push(places, registry, built)


def deploy(workspace: Workspace) -> None:
    """Bring the cluster to what the stack says, whatever became of the Pulumi before."""
    from plmkit.stack import remains
    from plmkit.turns import take_turn

    with take_turn(workspace.turn, lambda: say("waiting: another plm is deploying the stack")):
        remains.free_stack(workspace)
        if remains.has_unfinished_work(workspace):
            # Killed while it made something: what is there is looked at, and what may be there is made again, as it
            # is the same by its name.
            say("pulumi was cut off at its work: it looks first at what is there")
            _pulumi(workspace, "refresh", "--clear-pending-creates", draws=False)
        # Else what Pulumi remembers of the pods would pass for what runs in them.
        _pulumi(workspace, "up", *["--refresh"] * workspace.rolled.exists(), draws=is_interactive())
        workspace.rolled.unlink(missing_ok=True)


def _pulumi(workspace: Workspace, *words: str, draws: bool) -> None:
    from plmkit.stack import pulumi

    arguments = [*words, "--yes", "--skip-preview", "--suppress-outputs"]
    if draws:
        code = pulumi.show(workspace, arguments)
    else:
        # Without --non-interactive a refresh that drops operations asks, whatever --yes says.
        quiet = ["--non-interactive", "--color", "never", "--suppress-progress"]
        code = pulumi.run_quietly(workspace, [*arguments, *quiet])
    if code != 0:
        status, again = (
            with_context(command, workspace.context) for command in ("plm status", "plm up")
        )
        raise KitError(f"pulumi {words[0]} failed", f"{status}; then {again} again")


def _follow_nodes(workspace: Workspace) -> None:
    """A changed image of the services is in the mesh nodes a little later: the operator rolls them."""
    from plmkit import mesh_rollout
    from plmkit.kubectl import find_kubectl

    left = mesh_rollout.wait(find_kubectl(workspace.places, workspace.context), _NODES_S)
    if left:
        status = with_context("plm status", workspace.context)
        say(
            f"mesh nodes that do not yet run what they should: {', '.join(left)}; {status} says why"
        )


def _finish(workspace: Workspace, steps: _Steps, output: Output) -> None:
    from plmkit.credentials import load_credentials

    credentials = load_credentials(workspace.credentials)
    if output is Output.JSON:
        emit_json({"apiUrl": credentials.api_url, "seconds": steps.seconds})
        return
    emit(f"API      {credentials.api_url}")
    emit(f"CA       {credentials.ca_file}")
    env = with_context("plm stack env", workspace.context)
    # Of a context kubectl learns by its option alone.
    emit(f'kubectl  eval "$({env})"; {with_context("kubectl -n plm get plm", workspace.context)}')
