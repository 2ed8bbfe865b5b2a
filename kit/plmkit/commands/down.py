"""`plm down`: stop the embedded cluster and keep its data, or with --purge leave nothing."""

import shlex
import shutil
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_json, is_interactive, say
from plmkit.state import Places, find_places

_EXAMPLES = """
Examples:

  plm down                  stop; plm up goes on where it was

  plm down --purge --yes    remove ledger, stack and cluster, without asking
"""

# All that plm ever puts into the state folder; the second form is what a killed command leaves.
_OURS = (
    *("cluster", "kubeconfig", "kubeconfig.new"),
    *("pulumi", "Pulumi.*", ".Pulumi.*.new", "plm-stack-*", ".turn"),
    *("ca.crt", ".ca.crt.new", "ca.tiny-*.crt", ".ca.tiny-*.crt.new"),
    *("passphrase", ".passphrase.new"),
    *("credentials.json", ".credentials.json.new"),
    *("credentials.tiny-*.json", ".credentials.tiny-*.json.new"),
)


def register(app: typer.Typer) -> None:
    """Add `plm down`."""
    app.command("down", epilog=_EXAMPLES)(down)


def down(
    purge: Annotated[bool, typer.Option(help="Remove all data too: ledger, stack, keys.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --purge.")] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Stop the embedded cluster within ten seconds. Its data stays, unless --purge is given. The cache always stays."""
    from plmkit.kubectl import chosen_context
    from plmkit.localcluster import LocalCluster

    places = find_places()
    if chosen_context(None) is not None:
        raise KitError(
            "plm down ends the embedded cluster alone, and PLM_CONTEXT names another",
            "env -u PLM_CONTEXT plm down",
            ExitCode.WRONG_USAGE,
        )
    if purge:
        refuse_to_remove_more_than_state(places)
        refuse_to_forget_other_clusters(places)
        if not _is_confirmed(places, yes=yes):
            _tell_of_nothing_done(output)
            return
    began = time.monotonic()
    cluster = LocalCluster(places, places.cache / "tools" / "bin")
    stopped = cluster.purge(lambda: _remove_state(places)) if purge else cluster.stop()
    seconds = round(time.monotonic() - began, 1)
    if output is Output.JSON:
        emit_json({"stopped": stopped, "purged": purge, "seconds": seconds})
    else:
        emit(_sentence(places, stopped=stopped, purged=purge, seconds=seconds))
        _tell_of_another(cluster.status().owner)


def refuse_to_remove_more_than_state(places: Places) -> None:
    """A state folder that holds anything but ours was set by mistake: it must not be removed."""
    state = places.state.resolve()
    for kept in (Path.home(), places.checkout, places.cache):
        if kept.resolve().is_relative_to(state):
            raise KitError(
                f"the state folder {state} holds {kept}: --purge would remove that too",
                "set PLM_STATE_DIR to a folder of its own",
                ExitCode.WRONG_USAGE,
            )
    if foreign := sorted(path.name for path in _content(state) if not _is_ours(path.name)):
        raise KitError(
            f"the state folder {state} also holds {', '.join(foreign[:3])}: --purge would remove that too",
            "put it elsewhere, or set PLM_STATE_DIR to a folder of its own",
            ExitCode.WRONG_USAGE,
        )


def refuse_to_forget_other_clusters(places: Places) -> None:
    """Passphrase and Pulumi's memory are those of all stacks: without them nobody can change what runs elsewhere."""
    from plmkit.stack.target import context_in, stacks_of_other_clusters

    if files := stacks_of_other_clusters(places):
        contexts = [context_in(file) or file.name for file in files]
        first = f"plm stack env --context {shlex.quote(contexts[0])}"
        raise KitError(
            f"{places.state} also has the stack of {', '.join(contexts)}: --purge would remove what opens it",
            f'eval "$({first})"; pulumi destroy; pulumi stack rm; rm {files[0]}; then plm down --purge again',
            ExitCode.WRONG_USAGE,
        )


def _content(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_ours(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _OURS)


def _remove_state(places: Places) -> None:
    shutil.rmtree(places.state, ignore_errors=True)
    left = [*places.state.rglob("*"), places.state] if places.state.exists() else []
    if left:
        raise KitError(
            f"{left[0]} cannot be removed", f"fuser -vm {left[0]}; then plm down --purge again"
        )


def _is_confirmed(places: Places, *, yes: bool) -> bool:
    if yes or not places.state.exists():
        return True
    if not is_interactive():
        raise KitError(
            "--purge removes ledger, stack and keys, and nobody can be asked here",
            "plm down --purge --yes",
            ExitCode.WRONG_USAGE,
        )
    say(f"This removes the ledger, the stack and all keys in {places.state}.")
    return typer.confirm("Remove them?", err=True)


def _tell_of_nothing_done(output: Output) -> None:
    if output is Output.JSON:
        emit_json({"stopped": False, "purged": False, "seconds": 0.0})
    else:
        emit("Nothing was stopped or removed.")


def _sentence(places: Places, *, stopped: bool, purged: bool, seconds: float) -> str:
    if purged:
        return f"Removed cluster and state in {seconds} s."
    if stopped:
        return f"Stopped in {seconds} s. The data stays in {places.state}; plm up goes on with it."
    return "Nothing of this installation runs."


def _tell_of_another(owner: str | None) -> None:
    if owner is not None:
        say(f"another installation's cluster still runs: PLM_STATE_DIR={owner} plm down")
