"""Where plm keeps things on this machine: a cache that may be deleted at any time, and state that may not."""

import os
from dataclasses import dataclass
from pathlib import Path


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
    """The places of this process: XDG folders, or PLM_STATE_DIR and PLM_CACHE_DIR where set."""
    # Resolved: daemons have another working directory, and mount tables know no links.
    home = Path.home()
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    state_home = Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return Places(
        checkout=Path(__file__).resolve().parents[2],
        cache=Path(os.environ.get("PLM_CACHE_DIR") or cache_home / "plm").resolve(),
        state=Path(os.environ.get("PLM_STATE_DIR") or state_home / "plm").resolve(),
    )
