"""Configuration and manifests as the daemons will read them, for a state folder with awkward characters in its path."""

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from plmkit.localcluster import layout as names
from plmkit.localcluster import rendering
from plmkit.localcluster.api import object_path
from plmkit.localcluster.layout import Layout
from plmkit.localcluster.rendering import OwnImages

LAYOUT = Layout(Path("/home/Jörg von Weg/state/plm"))
IMAGES = OwnImages("plm.local/pause:0123", "plm.local/coredns:4567")
FILES = rendering.config_files(LAYOUT, IMAGES)
MANIFESTS = rendering.manifests(LAYOUT, IMAGES)


def parsed(name: str) -> Any:
    """A configuration file as its reader understands it."""
    text = FILES[LAYOUT.config / name]
    if name.endswith(".toml"):
        return tomllib.loads(text)
    if name.endswith(".conflist"):
        return json.loads(text)
    documents = list(yaml.safe_load_all(text))
    return documents[0] if len(documents) == 1 else documents


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    pod: dict[str, Any] = manifest.get("spec", {}).get("template", {}).get("spec", {})
    found: list[dict[str, Any]] = pod.get("containers", [])
    return found


def test_every_file_lies_in_the_configuration_folder_and_has_no_open_place() -> None:
    assert [path for path in FILES if not path.is_relative_to(LAYOUT.config)] == []
    assert [path.name for path, text in FILES.items() if "$" in text] == []
    assert "$" not in json.dumps(MANIFESTS)


def test_containerd_keeps_everything_under_the_state_folder() -> None:
    found = parsed("containerd.toml")
    runtime = found["plugins"]["io.containerd.grpc.v1.cri"]
    assert found["root"] == str(LAYOUT.containerd_root)
    assert found["state"] == str(LAYOUT.containerd_state)
    assert found["grpc"]["address"] == str(LAYOUT.containerd_socket)
    assert runtime["sandbox_image"] == IMAGES.pause
    assert runtime["cni"]["bin_dir"] == str(LAYOUT.network_plugins)
    assert (LAYOUT.config / "cni" / "10-bridge.conflist") in FILES
    assert runtime["cni"]["conf_dir"] == str(LAYOUT.config / "cni")


def test_the_kubelet_and_its_teardown_agree_on_names() -> None:
    """What `plm down` looks for is what the daemons are told."""
    kubelet = parsed("kubelet.yaml")
    assert kubelet["cgroupRoot"] == f"/{names.CONTROL_GROUP}"
    assert kubelet["podLogsDir"] == str(LAYOUT.pod_logs)
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{LAYOUT.containerd_socket}"
    assert kubelet["clusterDNS"] == [names.DNS_ADDRESS]
    network = parsed("cni/10-bridge.conflist")
    assert network["name"] == names.CNI_NETWORK
    assert network["plugins"][0]["ipam"]["dataDir"] == str(LAYOUT.addresses)
    assert network["plugins"][-1] == {"type": "plm-netpol", "socket": str(LAYOUT.policies_socket)}


def test_certificates_name_the_address_under_which_the_host_reaches_the_api() -> None:
    init, cluster = parsed("kubeadm.yaml")
    assert init["localAPIEndpoint"]["advertiseAddress"] == names.NODE_ADDRESS
    assert names.NODE_ADDRESS in cluster["apiServer"]["certSANs"]
    assert cluster["certificatesDir"] == str(LAYOUT.certificates)
    assert cluster["networking"]["podSubnet"] == names.POD_RANGE


def test_ranges_are_the_same_everywhere() -> None:
    assert parsed("kube-proxy.yaml")["clusterCIDR"] == names.POD_RANGE
    network = parsed("cni/10-bridge.conflist")
    [[only]] = network["plugins"][0]["ipam"]["ranges"]
    assert only["subnet"] == parsed("kubelet.yaml")["podCIDR"] == names.NODE_POD_RANGE


def test_every_manifest_is_of_a_kind_that_we_know_where_to_put() -> None:
    places = [object_path(manifest) for manifest in MANIFESTS]
    assert len(places) == len(set(places)) > 0
    namespaces = {manifest["metadata"].get("namespace") for manifest in MANIFESTS}
    assert namespaces <= {None, "kube-system"}


def test_the_cluster_s_own_pods_run_our_images_and_never_pull() -> None:
    found = [container for manifest in MANIFESTS for container in containers(manifest)]
    assert [container["image"] for container in found] == [IMAGES.coredns]
    assert {container["imagePullPolicy"] for container in found} == {"Never"}


def test_there_is_one_default_storage_class() -> None:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = [each for each in MANIFESTS if each["kind"] == "StorageClass"]
    assert [each["metadata"]["annotations"][mark] for each in classes] == ["true"]


def test_whoever_gets_a_kubeconfig_of_their_own_gets_rights_and_no_more_than_needed() -> None:
    users = {
        subject["name"]: manifest["roleRef"]["name"]
        for manifest in MANIFESTS
        if manifest["kind"] == "ClusterRoleBinding"
        for subject in manifest["subjects"]
        if subject["kind"] == "User"
    }
    assert users["plm:netpol"] == "plm:netpol"
    assert users["plm:localpath"] == "plm:localpath"
    assert "cluster-admin" not in users.values()


def test_a_template_that_asks_for_what_nobody_gives_does_not_render(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "typo.yaml").write_text("folder: $clustr\n")
    monkeypatch.setattr(resources, "files", lambda _package: tmp_path)
    with pytest.raises(KeyError, match="clustr"):
        rendering._render("config", "typo.yaml", rendering.substitutions(LAYOUT, IMAGES))
