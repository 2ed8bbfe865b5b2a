"""Kernel settings of the whole machine that the cluster changes, and the modules it needs."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

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


def read_settings() -> dict[str, str]:
    """The values that are in force, by name; names this kernel lacks are left out."""
    files = {name: _SYSCTLS / name.replace(".", "/") for name in CHANGED_BY_KUBELET}
    return {name: file.read_text().strip() for name, file in files.items() if file.exists()}


def restore_settings(settings: Mapping[str, str]) -> None:
    """Put back what `read_settings` gave."""
    for name, value in settings.items():
        (_SYSCTLS / name.replace(".", "/")).write_text(value)


def load_modules() -> None:
    """Load what is not built in. A kernel that has it all built in needs no modprobe; `plm doctor` tells the rest."""
    if shutil.which("modprobe") is None:
        return
    subprocess.run(["modprobe", "-qa", *_MODULES], check=False, capture_output=True)
