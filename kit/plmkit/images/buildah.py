"""buildah and skopeo, with storage, configuration and policy of our own under the cache."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import KitError

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_STORAGE = (
    '[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/storage"\n'
    # Else it binds its folder onto itself, and leaves that mount behind.
    '[storage.options.overlay]\nskip_mount_home = "true"\n'
)
_POLICY = '{"default":[{"type":"insecureAcceptAnything"}]}'
_LOG_LINES = 15


@dataclass(frozen=True)
class Buildah:
    """One storage folder."""

    folder: Path

    def prepare(self) -> None:
        """Write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "storage.conf").write_text(_STORAGE.format(folder=self.folder))
        (self.folder / "registries.conf").write_text("unqualified-search-registries = []\n")
        (self.folder / "policy.json").write_text(_POLICY)

    @property
    def _environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).strip().splitlines()[-_LOG_LINES:]
            raise KitError(
                f"{' '.join(command[:2])} failed:\n" + "\n".join(lines),
                "plm images (finished layers are kept)",
            )
        return done.stdout.strip()

    def has(self, reference: str) -> bool:
        """Whether an image of this name is stored."""
        done = subprocess.run(
            ["buildah", "inspect", "--type", "image", reference],
            env=self._environment,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def store_root(self, archive: Path, reference: str) -> None:
        """Store a root file system as an image."""
        container = self._run("buildah", "from", "scratch")
        try:
            self._run("buildah", "add", "--quiet", container, str(archive), "/")
            path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            self._run("buildah", "config", "--cmd", "/bin/bash", "--env", path, container)
            self._run("buildah", "commit", "--quiet", container, reference)
        finally:
            self._run("buildah", "rm", container)

    def build(
        self,
        containerfile: Path,
        context: Path,
        reference: str,
        *,
        arguments: Mapping[str, str],
        contexts: Mapping[str, Path],
    ) -> None:
        """Build an image; unchanged steps come from the storage. File times are zero: equal input, equal output."""
        command: Sequence[str] = [
            "buildah", "bud", "--layers", "--isolation", "chroot", "--pull-never",
            "--timestamp", "0", "--file", str(containerfile), "--tag", reference,
            *(f"--secret=id=host_ca,src={_AUTHORITIES}" for _ in [0] if _AUTHORITIES.exists()),
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *(f"--build-context={name}={path}" for name, path in contexts.items()),
            str(context),
        ]  # fmt: skip
        self._run("nice", *command)

    def export(self, reference: str, layout: Path) -> None:
        """Copy an image into an OCI layout, layers uncompressed: importing them is then a copy."""
        self._run(
            "skopeo", "--policy", str(self.folder / "policy.json"), "copy", "--quiet",
            "--dest-oci-accept-uncompressed-layers",
            f"containers-storage:{reference}", f"oci:{layout}:{reference}",
        )  # fmt: skip

    def push(self, layout: Path, reference: str, target: str) -> None:
        """Copy an image from the layout to a registry, digest and all. Credentials are those of skopeo and docker."""
        self._run(
            "skopeo", "--policy", str(self.folder / "policy.json"), "copy", "--quiet",
            "--preserve-digests", f"oci:{layout}:{reference}", f"docker://{target}",
        )  # fmt: skip
