"""Configuration files and manifests of the cluster, filled in for one layout. Pure but for reading the templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import yaml

from plmkit.localcluster import layout as names
from plmkit.localcluster.layout import Layout


@dataclass(frozen=True)
class OwnImages:
    """References of the two images that the cluster itself needs."""

    pause: str
    coredns: str


def substitutions(layout: Layout, images: OwnImages) -> dict[str, str]:
    """Every `$name` that a template may use. A template that asks for another one fails to render."""
    return {
        "node_name": names.NODE_NAME,
        "node_address": names.NODE_ADDRESS,
        "api_port": str(names.API_PORT),
        "pod_range": names.POD_RANGE,
        "node_pod_range": names.NODE_POD_RANGE,
        "service_range": names.SERVICE_RANGE,
        "dns_address": names.DNS_ADDRESS,
        "control_group": names.CONTROL_GROUP,
        "cni_network": names.CNI_NETWORK,
        "cluster": str(layout.cluster),
        "config": str(layout.config),
        "certificates": str(layout.certificates),
        "kubeconfigs": str(layout.kubeconfigs),
        "containerd_root": str(layout.containerd_root),
        "containerd_state": str(layout.containerd_state),
        "containerd_socket": str(layout.containerd_socket),
        "policies_socket": str(layout.policies_socket),
        "network_plugins": str(layout.network_plugins),
        "kubelet": str(layout.kubelet),
        "pod_logs": str(layout.pod_logs),
        "addresses": str(layout.addresses),
        "pause_image": images.pause,
        "coredns_image": images.coredns,
    }


def config_files(layout: Layout, images: OwnImages) -> dict[Path, str]:
    """Path -> content of every configuration file."""
    values = substitutions(layout, images)
    files = {
        layout.config / name: _render("config", name, values)
        for name in ("containerd.toml", "kubeadm.yaml", "kubelet.yaml", "kube-proxy.yaml")
    }
    bridge = "10-bridge.conflist"
    files[layout.config / "cni" / bridge] = _render("config", bridge, values)
    # Pods that ask for the node's resolver get none: there is nowhere to ask.
    files[layout.config / "resolv.conf"] = ""
    return files


def manifests(layout: Layout, images: OwnImages) -> list[dict[str, Any]]:
    """The objects that every embedded cluster holds, in the order in which to apply them."""
    values = substitutions(layout, images)
    folder = resources.files(__package__) / "manifests"
    texts = [
        _render("manifests", name, values) for name in sorted(f.name for f in folder.iterdir())
    ]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def _render(folder: str, name: str, values: Mapping[str, str]) -> str:
    source = resources.files(__package__) / folder / name
    return Template(source.read_text(encoding="utf-8")).substitute(values)
