"""A cluster that plm did not make, with a registry that wants a password: as docs/operating.md has it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme
import yaml
from plmkit.localcluster import LocalCluster, rendering
from plmkit.localcluster.layout import HOST_ADDRESS, NODE_ADDRESS, Layout
from support.https import served
from support.machine import Snapshot
from support.platform import Platform, places_for_tests
from support.registry import Registry

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class Elsewhere:
    """A bare cluster that answers to a context, a registry beside it, and a person who has access to both."""

    context: str
    registry: Registry
    host: str  # of the registry
    person: Platform

    def plm(self, *arguments: str) -> str:
        """What `plm … --context` says. Fails the test when it does not end well."""
        done = self.person.plm(*arguments, "--context", self.context)
        assert done.returncode == 0, f"plm {' '.join(arguments)}: {done.stderr[-4000:]}"
        return done.stdout

    def shell(self, text: str) -> str:
        """A line of docs/operating.md, typed by that person in the stack's environment."""
        env = f'eval "$(plm stack env --context {self.context})"'
        done = subprocess.run(
            ["bash", "-euc", f"{env}; {text}"],
            cwd=self.person.places.checkout,
            env=self.person.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{text}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout


def fetching_from(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the node's containerd look for registries' CAs there: the embedded cluster knows no registry."""
    plain = rendering.config_files

    def with_registries(layout: Layout, images: rendering.OwnImages) -> dict[Path, str]:
        files = plain(layout, images)
        section = '[plugins."io.containerd.grpc.v1.cri".registry]'
        files[layout.config / "containerd.toml"] += f'{section}\nconfig_path = "{certificates}"\n'
        return files

    monkeypatch.setattr(rendering, "config_files", with_registries)


@pytest.fixture(scope="module")
def elsewhere(
    machine_before: Snapshot, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Elsewhere]:
    """A cluster as somebody else runs it: not by `plm up`, and without anything of a stack on it."""
    usual, folder = places_for_tests(), tmp_path_factory.mktemp("elsewhere")
    bare = replace(usual, state=usual.state.with_name("plm-test-bare"))
    home, certificates, blobs = folder / "home", folder / "certs.d", folder / "blobs"
    blobs.mkdir()
    authority, registry = trustme.CA(), Registry(blobs, "reader", "a-password")
    cluster = LocalCluster(bare, usual.cache / "tools" / "bin")
    with pytest.MonkeyPatch.context() as patch:
        fetching_from(certificates, patch)
        cluster.purge()
        cluster.start()
    try:
        with served(registry.app(), authority, HOST_ADDRESS) as port:
            host = f"{HOST_ADDRESS}:{port}"
            for trusting in (certificates / host, home / ".config/containers/certs.d" / host):
                trusting.mkdir(parents=True)
                authority.cert_pem.write_to_path(trusting / "ca.crt")
            (certificates / host / "hosts.toml").write_text(
                f'server = "https://{host}"\n[host."https://{host}"]\nca = "ca.crt"\n'
            )
            (home / ".docker").mkdir()
            (home / ".docker" / "config.json").write_text(registry.docker_config(host))
            person = Platform(
                replace(usual, state=folder / "state"),
                {
                    "HOME": str(home),
                    "KUBECONFIG": str(bare.kubeconfig),
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                },
            )
            context = yaml.safe_load(bare.kubeconfig.read_text())["current-context"]
            yield Elsewhere(context, registry, host, person)
    finally:
        cluster.purge()
        shutil.rmtree(bare.state)


def test_it_comes_up_and_pays_with_images_from_the_registry(
    elsewhere: Elsewhere, tell: Callable[[str], None]
) -> None:
    elsewhere.plm(
        "stack", "init", "--registry", f"{elsewhere.host}/plm",
        "--api-url", f"https://{NODE_ADDRESS}:30443",
        "--registry-login", f"{elsewhere.person.variables['HOME']}/.docker/config.json",
    )  # fmt: skip
    began = time.monotonic()
    elsewhere.plm("up")
    tell(f"plm up --context on a bare cluster: {time.monotonic() - began:.1f} s")
    paid = json.loads(elsewhere.plm("pay", "A", "D", "10.00", "USD", "-o", "json"))
    assert paid["state"] == "settled"
    elsewhere.plm("status")
    assert elsewhere.registry.fetched == set(elsewhere.registry.tags.values())


def test_a_second_up_changes_nothing_there(
    elsewhere: Elsewhere, tell: Callable[[str], None]
) -> None:
    def state() -> tuple[str, str]:
        """The head of the ledger, and how often each workload was changed."""
        ledger = json.loads(elsewhere.plm("verify", "ledger", "-o", "json"))
        changes = "{range .items[*]}{.metadata.name} {.metadata.generation} {end}"
        kinds = "deployments,statefulsets"
        found = elsewhere.shell(f"kubectl get {kinds} -n plm -o jsonpath='{changes}'")
        return ledger["headHash"], found

    before = state()
    assert "gateway " in before[1]
    began = time.monotonic()
    elsewhere.plm("up")
    tell(f"second plm up --context: {time.monotonic() - began:.1f} s")
    assert state() == before


def test_a_stack_that_is_given_up_leaves_nothing_there(
    elsewhere: Elsewhere, tell: Callable[[str], None]
) -> None:
    began = time.monotonic()
    elsewhere.shell(
        "pulumi destroy --yes --skip-preview; pulumi stack rm --yes;"
        ' rm "$PULUMI_OPTION_CONFIG_FILE"'
    )
    tell(f"pulumi destroy elsewhere: {time.monotonic() - began:.1f} s")
    left = elsewhere.shell("kubectl get namespaces,customresourcedefinitions --output=name")
    assert "plm" not in left
