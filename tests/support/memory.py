"""Resident memory of a platform on this machine, in proportional set size: a page that many share counts once."""

import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

from plmkit.localcluster import controlgroups
from plmkit.localcluster.layout import CONTROL_GROUP

_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_PODS = f"/{CONTROL_GROUP}/kubepods"
_KIB = 1024


def resident_mib() -> dict[str, int]:
    """MiB of the cluster's `daemons`, of the `shims` beside its pods, and of the `pods`."""
    found: Counter[str] = Counter(daemons=0, shims=0, pods=0)
    for pid in controlgroups.members():
        folder = Path("/proc", str(pid))
        # A process may end while it is looked at.
        with suppress(FileNotFoundError, ProcessLookupError):
            [pss] = _PSS.findall((folder / "smaps_rollup").read_text())
            found[_part(folder)] += int(pss)
    return {part: kib // _KIB for part, kib in found.items()}


def _part(folder: Path) -> str:
    if (folder / "comm").read_text().startswith("containerd-shim"):
        return "shims"
    return "pods" if _PODS in (folder / "cgroup").read_text() else "daemons"
