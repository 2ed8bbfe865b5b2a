"""Names, addresses and paths of the embedded cluster: everything that is fixed before it starts."""

from dataclasses import dataclass
from pathlib import Path

NODE_NAME = "plm-node"
NETWORK_NAMESPACE = "plmnode"
HOST_LINK = "plmh"
HOST_ADDRESS = "198.51.100.1"
NODE_ADDRESS = "198.51.100.2"
POD_RANGE = "10.244.0.0/16"
NODE_POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
API_PORT = 6443
# The ranges that the host must not send anywhere else, even while the link is gone.
FENCED_RANGES = ("198.51.100.0/24", POD_RANGE, SERVICE_RANGE)
CONTROL_GROUP = "plm"
CNI_NETWORK = "plm-embedded"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Layout:
    """Paths under one installation's state folder. Sockets lie near the top: their paths must stay under 108 bytes."""

    state: Path

    @property
    def cluster(self) -> Path:
        """All that belongs to the cluster; `purge` removes it."""
        return self.state / "cluster"

    @property
    def run(self) -> Path:
        """Sockets and process records."""
        return self.cluster / "run"

    @property
    def logs(self) -> Path:
        """One log per daemon, the one before it as `<name>.log.1`."""
        return self.cluster / "log"

    @property
    def config(self) -> Path:
        """Rendered configuration files."""
        return self.cluster / "config"

    @property
    def certificates(self) -> Path:
        """Certificate authorities, keys and certificates of the control plane."""
        return self.cluster / "pki"

    @property
    def kubeconfigs(self) -> Path:
        """One kubeconfig per component."""
        return self.cluster / "kubeconfigs"

    @property
    def images(self) -> Path:
        """Archives of the cluster's own two images."""
        return self.cluster / "images"

    @property
    def volumes(self) -> Path:
        """Folders of dynamic volumes: the data of the stores."""
        return self.cluster / "volumes"

    @property
    def etcd(self) -> Path:
        """The API server's data."""
        return self.cluster / "etcd"

    @property
    def containerd_root(self) -> Path:
        """Images and snapshots."""
        return self.cluster / "containerd"

    @property
    def containerd_state(self) -> Path:
        """What containerd knows of running containers; worthless after a restart of the machine."""
        return self.cluster / "containerd-state"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def policies_socket(self) -> Path:
        """Where the network plugin calls the enforcer of policies."""
        return self.run / "netpol.sock"

    @property
    def network_plugins(self) -> Path:
        """Links to the network plugins: Debian's and our own. containerd knows one folder only."""
        return self.cluster / "network-plugins"

    @property
    def kubelet(self) -> Path:
        """The kubelet's folder: pod volumes are mounted here."""
        return self.cluster / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """Logs of containers."""
        return self.cluster / "pod-logs"

    @property
    def addresses(self) -> Path:
        """Pod addresses in use; it must not outlive the pods."""
        return self.cluster / "addresses"

    @property
    def admin_kubeconfig(self) -> Path:
        """What people and tools use."""
        return self.state / "kubeconfig"

    def kubeconfig(self, component: str) -> Path:
        """The kubeconfig of one component."""
        return self.kubeconfigs / f"{component}.conf"

    def record(self, daemon: str) -> Path:
        """The process record of one daemon."""
        return self.run / f"{daemon}.process"

    def log(self, daemon: str) -> Path:
        """The log of one daemon."""
        return self.logs / f"{daemon}.log"
