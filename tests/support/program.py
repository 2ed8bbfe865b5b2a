"""The whole Pulumi program run under mocks, as Pulumi runs it, and all that it registered and exported."""

import asyncio
import json
import os
import runpy
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
import yaml
from pulumi.runtime import rpc, set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, set_mocks
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import run_in_stack
from support.postgres import ROOT

CHART = "kubernetes:helm.sh/v4:Chart"
_STACK = "pulumi:pulumi:Stack"
_NAMES = ("services", "operator", "postgres", "nats", "caddy")
IMAGES = {name: f"plm.local/{name}@sha256:{position:064d}" for position, name in enumerate(_NAMES)}
# No text of these is part of another, nor of anything else: wherever one shows, it leaked.
SECRETS = {
    name: f"the-secret-of-{name}!"
    for name in (
        "caCertificate",
        "caKey",
        "postgresSuperuser",
        "postgresReplication",
        "postgresRewind",
        "ledger",
        "apiKeysFile",
    )
}


@dataclass(frozen=True)
class Registered:
    """One resource as Pulumi would see it. `secrets`: texts of its inputs that are marked as secret."""

    typ: str
    name: str
    inputs: dict[str, Any]
    secrets: frozenset[str]
    parent: str = ""
    dependencies: tuple[str, ...] = ()


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Answers like a provider that takes everything as it is, and remembers it by URN."""

    resources: dict[str, Registered] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    _found: dict[tuple[str, str], Registered] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        secrets: set[str] = set()
        inputs = _plain(args.inputs, secrets)
        with self._lock:
            assert (args.typ, args.name) not in self._found, f"{args.typ} {args.name} twice"
            self._found[args.typ, args.name] = Registered(
                args.typ, args.name, inputs, frozenset(secrets)
            )
        return f"{args.name}-id", args.inputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"the program asks the cluster: {args.token}")

    def place(self, urn: str, request: Any) -> None:
        """Say where a resource stands, now that it has a URN."""
        with self._lock:
            found = self._found.get((request.type, request.name))
            if found is not None:
                self.resources[urn] = replace(
                    found, parent=request.parent, dependencies=tuple(request.dependencies)
                )

    def of_type(self, typ: str) -> list[Registered]:
        """All resources of a type."""
        return [each for each in self.resources.values() if each.typ == typ]

    def before(self, urn: str) -> set[str]:
        """All that exists before this resource: what it depends on, what its components depend on, and so on."""
        found: set[str] = set()
        waiting = [urn]
        while waiting:
            each = self.resources.get(waiting.pop())
            if each is not None:
                more = {*each.dependencies, each.parent} - found
                found |= more
                waiting += more
        return found


class _Monitor(MockMonitor):
    """Sees what mocks are not shown: parents, dependencies, the stack's outputs."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        # Pulumi would open an event loop in this worker thread, and leave it open.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        self.recorder.place(answer.urn, request)
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if f"::{_STACK}::" in request.urn:
            self.recorder.outputs |= rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def _plain(value: Any, secrets: set[str]) -> Any:
    """Without the wrappings of secrets, and with the whole numbers that the protocol made floats."""
    if rpc.is_rpc_secret(value):
        inner = _plain(rpc.unwrap_rpc_secret(value), secrets)
        secrets.update(texts_of(inner))
        return inner
    if isinstance(value, Mapping):
        return {name: _plain(each, secrets) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, secrets) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def texts_of(value: Any) -> list[str]:
    """Every text inside, keys included."""
    if isinstance(value, Mapping):
        return [text for pair in value.items() for each in pair for text in texts_of(each)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [text for each in value for text in texts_of(each)]
    return [value] if isinstance(value, str) else []


def declared() -> dict[str, dict[str, Any]]:
    """The configuration that Pulumi.yaml declares."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return found


def configuration(**given: Any) -> dict[str, str]:
    """What Pulumi hands to the program: defaults, the stack's file, images and secrets. A None takes a key away."""
    plain = {f"plm:{name}": each["default"] for name, each in declared().items()}
    plain |= yaml.safe_load((ROOT / "infra" / "stacks" / "tiny.yaml").read_text())
    plain |= {"plm:images": IMAGES, "plm:secrets": SECRETS}
    plain |= {f"plm:{name}": value for name, value in given.items()}
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in plain.items()
        if value is not None
    }


def run(config: Mapping[str, str]) -> Recorder:
    """Run `infra` to its end. What it raises comes out."""
    recorder = Recorder()
    before = os.environ.get("PULUMI_CONFIG")
    os.environ["PULUMI_CONFIG"] = json.dumps(dict(config))
    try:
        # Pulumi keeps configuration and settings in context variables and its loop in the thread:
        # a thread of its own takes both with it when it ends.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, _run(recorder, config)).result()
    finally:
        os.environ.pop("PULUMI_CONFIG")
        if before is not None:
            os.environ["PULUMI_CONFIG"] = before
    return recorder


async def _run(recorder: Recorder, config: Mapping[str, str]) -> None:
    set_mocks(recorder, project="plm", stack="tiny", preview=False, monitor=_Monitor(recorder))
    # The mocks come with a stack of their own; the program gets its own, as from Pulumi, and exports to it.
    set_root_resource(None)  # type: ignore[arg-type]
    set_all_config(dict(config), ["plm:secrets"])

    def program() -> None:
        runpy.run_path(str(ROOT / "infra"), run_name="__main__")

    await run_in_stack(program)
