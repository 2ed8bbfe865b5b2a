"""buildah and skopeo, with storage, configuration and policy of our own under the cache."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plmkit import groups
from plmkit.console import ExitCode, KitError

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_STORAGE = (
    '[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/storage"\n'
    # Else it binds its folder onto itself, and leaves that mount behind.
    '[storage.options.overlay]\nskip_mount_home = "true"\n'
)
_POLICY = '{"default":[{"type":"insecureAcceptAnything"}]}'
_LOG_LINES = 15
_ANSWER_WITHIN_S = 120.0
_COPIED_WITHIN_S = 1800.0
# apt and pip give up by themselves a download that stands still.
_BUILT_WITHIN_S = 3600.0
_PUSHED_WITHIN_S = 3600.0
# What it logs, as it does: `time="…" level=fatal msg="…"`.
_SAID = re.compile(r'level=fatal msg="(?P<said>.*)"$')
_AGAIN = "plm images (finished images are kept)"


@dataclass(frozen=True, kw_only=True)
class Order:
    """An image to build: from which file, in which folder and others beside it, under which name."""

    containerfile: Path
    context: Path
    reference: str
    arguments: Mapping[str, str]
    contexts: Mapping[str, Path]
    is_quick: bool = False


@dataclass(frozen=True)
class Buildah:
    """One storage folder. Whoever sets `stop` has every program ended that works on it."""

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event, compare=False)

    def prepare(self) -> None:
        """Write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(_STORAGE.format(folder=self.folder))
        (self.folder / "registries.conf").write_text("unqualified-search-registries = []\n")
        (self.folder / "policy.json").write_text(_POLICY)

    @property
    def _configuration(self) -> Path:
        return self.folder / "storage.conf"

    @property
    def _environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(self._configuration),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
            "BUILDAH_ISOLATION": "chroot",
            **({"TMPDIR": str(self.scratch)} if self.scratch.exists() else {}),
        }

    @property
    def scratch(self) -> Path:
        """For what is needed during a build. It is there while one goes on, or after one that was killed."""
        return self.folder / "scratch"

    def run(self, *command: str, timeout_s: float = _ANSWER_WITHIN_S) -> str:
        """Run a builder's program on this storage and give its output. Raises KitError with its last words."""
        done = self._ask(*command, timeout_s=timeout_s)
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).strip().splitlines()[-_LOG_LINES:]
            raise KitError(f"{' '.join(command[:2])} failed:\n" + "\n".join(lines), _AGAIN)
        return done.stdout.strip()

    def _ask(self, *command: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        # Without it the builder would work on the machine's own storage.
        if not self._configuration.exists():
            self.prepare()
        return groups.run(
            command, timeout_s=timeout_s, cure=_AGAIN, stop=self.stop, env=self._environment
        )

    def has(self, reference: str) -> bool:
        """Whether an image of this name is stored."""
        command = ("buildah", "inspect", "--type", "image", reference)
        return self._ask(*command, timeout_s=_ANSWER_WITHIN_S).returncode == 0

    def forget_older(self) -> None:
        """Remove images that have no name any more: a newer one has got it."""
        self._ask("buildah", "rmi", "--prune", timeout_s=_COPIED_WITHIN_S)

    def clear_away(self) -> None:
        """Remove what a build has left that was cut off: its containers, their mounts, and the scratch folder."""
        self._ask("buildah", "rm", "--all", timeout_s=_COPIED_WITHIN_S)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def store_root(self, archive: Path, reference: str) -> None:
        """Store a root file system as an image."""
        container = self.run("buildah", "from", "scratch")
        try:
            self.run(
                "buildah",
                "add",
                "--quiet",
                container,
                str(archive),
                "/",
                timeout_s=_COPIED_WITHIN_S,
            )
            path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            self.run("buildah", "config", "--cmd", "/bin/bash", "--env", path, container)
            self.run(
                "buildah", "commit", "--quiet", container, reference, timeout_s=_COPIED_WITHIN_S
            )
        finally:
            self.run("buildah", "rm", container)

    def build(self, order: Order) -> None:
        """Build an image, as one layer on top of what it stands on.

        File times are zero: equal input, equal output. A long build leaves the cores to those who need them.
        """
        command = [
            "buildah", "bud", "--layers=false", "--isolation", "chroot", "--pull-never",
            "--timestamp", "0", "--file", str(order.containerfile), "--tag", order.reference,
            *(f"--secret=id=host_ca,src={_AUTHORITIES}" for _ in [0] if _AUTHORITIES.exists()),
            *(f"--build-arg={name}={value}" for name, value in order.arguments.items()),
            *(f"--build-context={name}={path}" for name, path in order.contexts.items()),
            str(order.context),
        ]  # fmt: skip
        self.run(*([] if order.is_quick else ["nice"]), *command, timeout_s=_BUILT_WITHIN_S)

    def export(self, reference: str, layout: Path) -> None:
        """Copy an image into an OCI layout, layers uncompressed: importing them is then a copy."""
        self.run(
            "skopeo", "--policy", str(self.folder / "policy.json"), "copy", "--quiet",
            "--dest-oci-accept-uncompressed-layers",
            f"containers-storage:{reference}", f"oci:{layout}:{reference}",
            timeout_s=_COPIED_WITHIN_S,
        )  # fmt: skip

    def push(self, layout: Path, reference: str, target: str) -> None:
        """Copy an image from the layout to a registry, digest and all. Credentials are those of skopeo and docker."""
        done = self._ask(
            "skopeo", "--policy", str(self.folder / "policy.json"), "copy", "--quiet",
            "--preserve-digests", f"oci:{layout}:{reference}", f"docker://{target}",
            timeout_s=_PUSHED_WITHIN_S,
        )  # fmt: skip
        if done.returncode != 0:
            lines = (done.stderr.strip() or done.stdout.strip() or "skopeo failed").splitlines()
            found = _SAID.search(lines[-1])
            said = found["said"].replace('\\"', '"') if found else lines[-1]
            host = target.partition("/")[0]
            cure = f"{_cure_of(said, host)}; then the same command again"
            raise KitError(f"{target} was not pushed: {said}", cure, ExitCode.UNFIT_ENVIRONMENT)


def _cure_of(said: str, host: str) -> str:
    """For whoever pushes to that registry in vain."""
    if "certificate" in said:
        return f"put the certificate of its CA at /etc/containers/certs.d/{host}/ca.crt"
    if any(word in said for word in ("unauthorized", "authentication", "denied")):
        return f"skopeo login {host}"
    return f"see that {host} is the registry that is meant, and that it answers"
