"""Kernel settings of the whole machine that the cluster changes, and the modules it needs."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from plmkit import children
from plmkit.console import KitError

_SYSCTLS = Path("/proc/sys")
# The kubelet sets these; nobody puts them back but us.
CHANGED_BY_KUBELET = (
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
)
_MODULES = ("overlay", "br_netfilter", "nf_conntrack", "veth")
_LOADED_WITHIN_S = 30.0


def read_settings() -> dict[str, str]:
    """The values that are in force, by name; names this kernel lacks are left out."""
    files = {name: _file(name) for name in CHANGED_BY_KUBELET}
    return {name: file.read_text().strip() for name, file in files.items() if file.exists()}


def restore_settings(settings: Mapping[str, str]) -> None:
    """Put back what `read_settings` gave. What has not changed is not touched: it may be read-only here."""
    now = read_settings()
    changed = {name: value for name, value in settings.items() if now.get(name, value) != value}
    refused = {}
    for name, value in changed.items():
        try:
            _file(name).write_text(value)
        except OSError as error:
            refused[name] = f"{name} ({error.strerror})"
    if refused:
        raise KitError(
            f"the kernel does not take back {', '.join(refused.values())}",
            "sysctl -w " + " ".join(f"{name}={settings[name]}" for name in refused),
        )


def _file(name: str) -> Path:
    return _SYSCTLS / name.replace(".", "/")


def load_modules() -> None:
    """Load what is not built in. A kernel that has it all built in needs no modprobe; `plm doctor` tells the rest."""
    if shutil.which("modprobe") is None:
        return
    children.run(["modprobe", "-qa", *_MODULES], timeout_s=_LOADED_WITHIN_S, cure="plm doctor")
