"""Where plm keeps things on this machine: a cache that may be deleted at any time, and state that may not."""

import os
from dataclasses import dataclass
from pathlib import Path

from plmkit.console import ExitCode, KitError


@dataclass(frozen=True)
class Places:
    """Folders and files of one installation. Nothing here lies in the checkout but `checkout` itself."""

    checkout: Path
    cache: Path  # tools, images, build records: content-keyed, rebuilt when missing
    state: Path  # cluster data, stack, passphrase, credentials: the user's

    @property
    def cluster(self) -> Path:
        """Everything of the embedded cluster: etcd, containerd, volumes, certificates, pids."""
        return self.state / "cluster"

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig of the embedded cluster."""
        return self.state / "kubeconfig"

    @property
    def credentials(self) -> Path:
        """API address and key of the platform on the embedded cluster, mode 0600."""
        return self.state / "credentials.json"


def find_places() -> Places:
    """The places of this process: XDG folders, or PLM_STATE_DIR and PLM_CACHE_DIR where set. Raises KitError."""
    return Places(
        checkout=Path(__file__).resolve().parents[2],
        cache=_place("PLM_CACHE_DIR", "XDG_CACHE_HOME", ".cache"),
        state=_place("PLM_STATE_DIR", "XDG_STATE_HOME", ".local/state"),
    )


def provide_state(folder: Path) -> None:
    """Make the state folder where it is missing, for its owner alone. Raises KitError where it cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(
            f"the state folder {folder} cannot be made: {error.strerror}",
            "name one with PLM_STATE_DIR=/path/to/a/folder",
            ExitCode.UNFIT_ENVIRONMENT,
        ) from error


def _place(own: str, general: str, below_home: str) -> Path:
    named = os.environ.get(own)
    try:
        folder = Path(named or _general(general, below_home) / "plm")
        # Resolved: daemons have another working directory, and mount tables know no links.
        return folder.resolve()
    except (RuntimeError, OSError) as error:
        # pathlib's own words for links in a ring, and for a user without a home.
        raise KitError(
            f"plm has no folder to keep things in: {error}",
            f"name one with {own}=/path/to/a/folder",
            ExitCode.UNFIT_ENVIRONMENT,
        ) from error


def _general(variable: str, below_home: str) -> Path:
    named = os.environ.get(variable)
    return Path(named) if named else Path.home() / below_home
