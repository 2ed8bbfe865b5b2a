"""Certificate authorities, certificates and kubeconfigs of the cluster, made once by kubeadm and kept with the data."""

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from plmkit import children
from plmkit.console import KitError
from plmkit.localcluster.layout import Layout

# Users beyond kubeadm's own: each daemon has an identity with the rights it needs (manifests/01-identities.yaml).
_EXTRA_USERS = {
    "kube-proxy": "system:kube-proxy",
    "plm-netpol": "plm:netpol",
    "plm-localpath": "plm:localpath",
}
_COMPLETE = "complete"
_MADE_WITHIN_S = 120.0
_CURE = "plm doctor; then plm up again"


def exist(layout: Layout) -> bool:
    """Whether a full set is there. A set that was cut off while it was made does not count."""
    return (layout.certificates / _COMPLETE).exists()


def create(layout: Layout, tools: Path) -> None:
    """Make everything anew. The mark of completeness comes last."""
    for folder in (layout.certificates, layout.kubeconfigs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    config = str(layout.config / "kubeadm.yaml")
    _kubeadm(tools, "init", "phase", "certs", "all", "--config", config)
    into = ("--kubeconfig-dir", str(layout.kubeconfigs))
    _kubeadm(tools, "init", "phase", "kubeconfig", "all", "--config", config, *into)
    for component, user in _EXTRA_USERS.items():
        text = _kubeadm(tools, "kubeconfig", "user", "--config", config, "--client-name", user)
        write_private(layout.kubeconfig(component), text)
    _extract_admin(layout)
    (layout.certificates / _COMPLETE).touch()


def admin_files(layout: Layout) -> tuple[Path, Path, Path]:
    """Authority, certificate and key with which this program itself talks to the API server."""
    pki = layout.certificates
    return pki / "ca.crt", pki / "super-admin.crt", pki / "super-admin.key"


def publish_admin_kubeconfig(layout: Layout) -> None:
    """Give people their kubeconfig."""
    write_private(layout.admin_kubeconfig, layout.kubeconfig("admin").read_text())


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all or nothing."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _extract_admin(layout: Layout) -> None:
    kubeconfig: dict[str, Any] = yaml.safe_load(layout.kubeconfig("super-admin").read_text())
    user = kubeconfig["users"][0]["user"]
    _, certificate, key = admin_files(layout)
    write_private(certificate, base64.b64decode(user["client-certificate-data"]).decode())
    write_private(key, base64.b64decode(user["client-key-data"]).decode())


def _kubeadm(tools: Path, *arguments: str) -> str:
    done = children.run(
        [str(tools / "kubeadm"), *arguments],
        timeout_s=_MADE_WITHIN_S,
        cure=_CURE,
        # Without a home kubeadm looks for nothing of the user's; without proxies it does not warn about them.
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    if done.returncode != 0:
        raise KitError(f"kubeadm {' '.join(arguments[:4])}: {done.stderr.strip()}", _CURE)
    return done.stdout
