"""One stack's files under the state folder, and the environment in which plain `pulumi` works on it."""

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plmkit.state import Places

EMBEDDED = "tiny"
_CREDENTIALS = {"apiUrl", "apiKey", "caFile"}


@dataclass(frozen=True)
class Workspace:
    """Where a stack lives. `context` is the kubeconfig context it deploys to; None means the embedded cluster."""

    places: Places
    context: str | None = None

    @property
    def stack(self) -> str:
        """The stack's name: each foreign cluster has a stack of its own."""
        if self.context is None:
            return EMBEDDED
        return f"{EMBEDDED}-" + re.sub(r"[^A-Za-z0-9._-]", "-", self.context)

    @property
    def configuration(self) -> Path:
        """The stack's own file."""
        return self.places.state / f"Pulumi.{self.stack}.yaml"

    @property
    def backend(self) -> Path:
        """Where Pulumi keeps what it deployed."""
        return self.places.state / "pulumi"

    @property
    def passphrase(self) -> Path:
        """The file that opens the stack's secrets."""
        return self.places.state / "passphrase"

    @property
    def authority(self) -> Path:
        """The platform's CA certificate."""
        return self.places.state / ("ca.crt" if self.context is None else f"ca.{self.stack}.crt")

    @property
    def credentials(self) -> Path:
        """API address and key of this stack's platform, mode 0600: each cluster has its own."""
        if self.context is None:
            return self.places.credentials
        return self.places.state / f"credentials.{self.stack}.json"

    @property
    def rolled(self) -> Path:
        """There while `plm dev` has put images into pods that Pulumi knows nothing of."""
        return self.places.state / f"Pulumi.{self.stack}.rolled"

    @property
    def turn(self) -> Path:
        """Held by whoever deploys the stack: Pulumi locks it too late, and ends where it is locked."""
        return self.places.state / f"Pulumi.{self.stack}.turn"

    @property
    def is_made(self) -> bool:
        """Whether `plm stack init` has run to its end, and the credentials there are this stack's."""
        try:
            found = json.loads(self.credentials.read_text())
        except (OSError, ValueError):
            return False
        if not isinstance(found, dict) or not found.keys() >= _CREDENTIALS:
            return False
        is_ours = found.get("stack", EMBEDDED) == self.stack
        return is_ours and self.configuration.exists() and self.authority.exists()

    def variables(self) -> dict[str, str]:
        """What `pulumi` needs, beside what the shell has."""
        found = {
            "PULUMI_HOME": str(self.places.cache / "pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase),
            "PULUMI_OPTION_CONFIG_FILE": str(self.configuration),
            "PULUMI_STACK": self.stack,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
            # Replicas belong to whoever scales: their field must not stop an update.
            "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
        }
        if self.context is None:
            found["KUBECONFIG"] = str(self.places.kubeconfig)
        return found

    def search_path(self) -> list[str]:
        """What comes first on PATH: the environment that has the program's packages, then our tools."""
        return [str(Path(sys.executable).parent), str(self.places.cache / "tools" / "bin")]

    def environment(self, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment for a child process."""
        inherited = os.environ if inherited is None else inherited
        path = os.pathsep.join([*self.search_path(), inherited.get("PATH", "")])
        return {**inherited, **self.variables(), "PATH": path}

    def shell_lines(self) -> list[str]:
        """The same as `export` lines for a POSIX shell."""
        first = shlex.quote(os.pathsep.join(self.search_path()))
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.variables().items()]
        return [*lines, f'export PATH={first}:"$PATH"']
