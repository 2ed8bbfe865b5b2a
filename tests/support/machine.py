"""The machine as a whole, written down so that two moments can be compared: a purge must leave nothing behind."""

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from plmkit.localcluster import controlgroups, processes

# These change while nothing happens: counters, random numbers, and what the kernel computes from memory that is free.
_RESTLESS = re.compile(
    r"random/|/file-nr|/inode-nr|/inode-state|/dentry-state|aio-nr|nf_conntrack_count|ns_last_pid|/pty/nr"
    r"|/debug/|stat_refresh|/route/flush|drop_caches|compact_memory|/neigh/|/conf/(?!all|default|lo|eth0)"
    r"|sched_domain|/perf_|/dirty_|quota/syncs|keys/gc|/sunrpc|fips|unprivileged_userns|cad_pid|tcp_fastopen_key"
)
_FOLDERS = (
    "/run/plm",
    "/run/netns",
    "/run/containerd",
    "/run/cni",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/containerd",
    "/opt/cni",
    "/usr/libexec/kubernetes",
)

Snapshot = Mapping[str, frozenset[str]]


def machine_snapshot() -> Snapshot:
    """Everything that a cluster could leave: aspect of the machine -> what is there."""
    readers: dict[str, Callable[[], Iterable[str]]] = {
        "processes": _processes,
        "mounts": lambda: Path("/proc/self/mounts").read_text().splitlines(),
        "network namespaces": lambda: _lines("ip", "netns", "list"),
        "links": lambda: (line.split(": ")[1] for line in _lines("ip", "-o", "link")),
        "addresses": lambda: _lines("ip", "-4", "-br", "address"),
        "routes": lambda: _lines("ip", "route", "show", "table", "all"),
        "rules": _rules,
        "control groups": _control_groups,
        "settings": _settings,
        "files": _files,
    }
    return {aspect: frozenset(read()) for aspect, read in readers.items()}


def left_behind(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """What is there after and was not before, and what is missing (with a minus), by aspect."""
    found = {
        aspect: [f"+ {line}" for line in sorted(after[aspect] - before[aspect])]
        + [f"- {line}" for line in sorted(before[aspect] - after[aspect])]
        for aspect in before
    }
    # Other programs of this machine come and go; ours are known by their names and folders.
    found["processes"] = [line for line in found["processes"] if line.startswith("+")]
    return {aspect: lines for aspect, lines in found.items() if lines}


def _processes() -> Iterable[str]:
    ours = re.compile(r"containerd|kube-|kubelet|etcd|coredns|plm-|pause|/cluster/")
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = processes.parse_stat((folder / "stat").read_text())
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if stat.state not in "ZX" and ours.search(command):
                yield f"{folder.name} {command}"


def _rules() -> Iterable[str]:
    text = "\n".join([*_lines("nft", "list", "ruleset"), *_lines("iptables-save")])
    return re.sub(
        r"counter packets \d+ bytes \d+|\[\d+:\d+\]|^#.*$", "", text, flags=re.MULTILINE
    ).splitlines()


def _control_groups() -> Iterable[str]:
    """Ours lie at the top of each hierarchy; deeper ones of other programs come and go with what they run."""
    for root in controlgroups.hierarchies(Path("/proc/self/mounts").read_text()):
        for top in root.iterdir():
            if top.is_dir():
                yield str(top)


def _settings() -> Iterable[str]:
    for part in ("kernel", "vm", "fs", "net"):
        for file in Path("/proc/sys", part).rglob("*"):
            with suppress(OSError, UnicodeDecodeError):
                if file.is_file() and not _RESTLESS.search(str(file)):
                    yield f"{file}={file.read_text().strip()}"


def _files() -> Iterable[str]:
    for folder in map(Path, _FOLDERS):
        if folder.exists():
            yield str(folder)
            yield from (str(path) for path in folder.rglob("*"))


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
