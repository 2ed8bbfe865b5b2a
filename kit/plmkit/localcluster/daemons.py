"""The daemons of the cluster: their command lines, the order in which they start, and when one is outdated."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from plmkit.localcluster import layout as names
from plmkit.localcluster.layout import Layout


class Stage(IntEnum):
    """When a daemon starts. A later stage starts when the one before it answers."""

    FOUNDATION = 1  # needs nothing
    ENFORCEMENT = 2  # needs the API server; no pod may start before it
    CONTROL = (
        3  # needs the API server and its default roles; earlier they would back off for seconds
    )


@dataclass(frozen=True)
class Daemon:
    """One long-running process of the cluster."""

    name: str
    stage: Stage
    command: tuple[str, ...]

    def fingerprint(self, config: Mapping[Path, str]) -> str:
        """Changes when the program, its arguments or a configuration file named in them changes."""
        read = [
            text
            for path, text in sorted(config.items())
            if any(str(path) in word for word in self.command)
        ]
        # Its path stays when it is built anew.
        program = Path(self.command[0]).stat()
        identity = f"{program.st_size} {program.st_mtime_ns}"
        return hashlib.sha256("\0".join([identity, *self.command, *read]).encode()).hexdigest()[:16]


def daemons(layout: Layout, tools: Path) -> tuple[Daemon, ...]:
    """All daemons, in the order of their start."""
    return (
        Daemon("containerd", Stage.FOUNDATION, _containerd(layout)),
        Daemon("etcd", Stage.FOUNDATION, _etcd(layout, tools)),
        Daemon("kube-apiserver", Stage.FOUNDATION, _api_server(layout, tools)),
        Daemon("plm-netpol", Stage.ENFORCEMENT, _policies(layout, tools)),
        Daemon("kube-controller-manager", Stage.CONTROL, _controller_manager(layout, tools)),
        Daemon("kube-scheduler", Stage.CONTROL, _scheduler(layout, tools)),
        Daemon("kubelet", Stage.CONTROL, _kubelet(layout, tools)),
        Daemon("kube-proxy", Stage.CONTROL, _proxy(layout, tools)),
        Daemon("plm-localpath", Stage.CONTROL, _volumes(layout, tools)),
    )


def _containerd(layout: Layout) -> tuple[str, ...]:
    return ("/usr/bin/containerd", "--config", str(layout.config / "containerd.toml"))


def _etcd(layout: Layout, tools: Path) -> tuple[str, ...]:
    pki = layout.certificates / "etcd"
    client, peer = "https://127.0.0.1:2379", "https://127.0.0.1:2380"
    return (
        str(tools / "etcd"),
        f"--name={names.NODE_NAME}",
        f"--data-dir={layout.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={names.NODE_NAME}={peer}",
        f"--cert-file={pki}/server.crt",
        f"--key-file={pki}/server.key",
        "--client-cert-auth",
        f"--trusted-ca-file={pki}/ca.crt",
        f"--peer-cert-file={pki}/peer.crt",
        f"--peer-key-file={pki}/peer.key",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki}/ca.crt",
    )


def _api_server(layout: Layout, tools: Path) -> tuple[str, ...]:
    pki = layout.certificates
    return (
        str(tools / "kube-apiserver"),
        f"--advertise-address={names.NODE_ADDRESS}",
        f"--bind-address={names.NODE_ADDRESS}",
        f"--secure-port={names.API_PORT}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        f"--client-ca-file={pki}/ca.crt",
        "--enable-admission-plugins=NodeRestriction",
        f"--etcd-cafile={pki}/etcd/ca.crt",
        f"--etcd-certfile={pki}/apiserver-etcd-client.crt",
        f"--etcd-keyfile={pki}/apiserver-etcd-client.key",
        "--etcd-servers=https://127.0.0.1:2379",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--service-cluster-ip-range={names.SERVICE_RANGE}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        "--enable-aggregator-routing=true",
    )


def _controller_manager(layout: Layout, tools: Path) -> tuple[str, ...]:
    pki, kubeconfig = layout.certificates, layout.kubeconfig("controller-manager")
    return (
        str(tools / "kube-controller-manager"),
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--client-ca-file={pki}/ca.crt",
        f"--cluster-cidr={names.POD_RANGE}",
        "--allocate-node-cidrs=true",
        "--cluster-name=plm",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--leader-elect=false",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--service-cluster-ip-range={names.SERVICE_RANGE}",
        "--use-service-account-credentials=true",
        # The default rate costs five seconds of the boot.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )


def _scheduler(layout: Layout, tools: Path) -> tuple[str, ...]:
    kubeconfig = layout.kubeconfig("scheduler")
    return (
        str(tools / "kube-scheduler"),
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    )


def _kubelet(layout: Layout, tools: Path) -> tuple[str, ...]:
    return (
        str(tools / "kubelet"),
        f"--config={layout.config}/kubelet.yaml",
        f"--kubeconfig={layout.kubeconfig('kubelet')}",
        f"--node-ip={names.NODE_ADDRESS}",
        f"--hostname-override={names.NODE_NAME}",
        f"--root-dir={layout.kubelet}",
        f"--cert-dir={layout.kubelet}/pki",
    )


def _proxy(layout: Layout, tools: Path) -> tuple[str, ...]:
    return (str(tools / "kube-proxy"), f"--config={layout.config}/kube-proxy.yaml")


def _policies(layout: Layout, tools: Path) -> tuple[str, ...]:
    kubeconfig = layout.kubeconfig("plm-netpol")
    return (
        str(tools / "plm-netpol"),
        f"--kubeconfig={kubeconfig}",
        f"--pod-range={names.POD_RANGE}",
        f"--socket={layout.policies_socket}",
    )


def _volumes(layout: Layout, tools: Path) -> tuple[str, ...]:
    return (
        str(tools / "plm-localpath"),
        f"--kubeconfig={layout.kubeconfig('plm-localpath')}",
        f"--root={layout.volumes}",
        f"--node={names.NODE_NAME}",
    )
