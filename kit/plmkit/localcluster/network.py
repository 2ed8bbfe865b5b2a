"""The cluster's network: one namespace, one link to the host, no way out. Every step may find itself done already."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plmkit import children
from plmkit.console import KitError
from plmkit.localcluster.layout import (
    FENCED_RANGES,
    HOST_ADDRESS,
    HOST_LINK,
    NETWORK_NAMESPACE,
    NODE_ADDRESS,
)

NAMESPACE_FILE = Path("/run/netns") / NETWORK_NAMESPACE
_FENCE_METRIC = "4096"
_WITHIN_S = 10.0
# Without the second, traffic between pods would pass by the policies.
_SETTINGS = ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
# There are no policies for IPv6. A kernel without it lacks the keys.
_SETTINGS_IF_KNOWN = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


def inside(command: Sequence[str]) -> list[str]:
    """The command that runs `command` in the cluster's network."""
    # Not `ip netns exec`: it would remount /sys.
    return ["nsenter", f"--net={NAMESPACE_FILE}", "--", *command]


def is_up() -> bool:
    """Whether the namespace and the link into it are there."""
    if not namespace_identity(NAMESPACE_FILE):
        return False
    return _succeeds("ip", "link", "show", HOST_LINK)


def namespace_identity(file: Path = NAMESPACE_FILE) -> int:
    """A number that tells one network namespace from another; 0 for none, also for a half-made one."""
    try:
        found = file.stat()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    namespaces = Path("/proc/self/ns/net").stat().st_dev
    return found.st_ino if found.st_dev == namespaces else 0


def foreign_routes() -> list[str]:
    """Routes of this machine that overlap ours and lead elsewhere: with them the cluster must not start."""
    found = []
    for fence in FENCED_RANGES:
        listed = _run("ip", "-j", "-4", "route", "show", "root", fence)
        routes: list[dict[str, Any]] = json.loads(listed or "[]")
        found += [
            f"{route['dst']} dev {route.get('dev', '?')}"
            for route in routes
            if route.get("type") != "blackhole" and route.get("dev") != HOST_LINK
        ]
    return found


def up() -> None:
    """Make the namespace, the link and the fences. A network that was half made is made anew."""
    down()
    if taken := foreign_routes():
        raise KitError(
            f"this machine already routes our addresses: {', '.join(taken)}",
            "remove these routes, or use plm up --context NAME with another cluster",
        )
    _run("ip", "netns", "add", NETWORK_NAMESPACE)
    for fence in FENCED_RANGES:
        _run("ip", "route", "add", "blackhole", fence, "metric", _FENCE_METRIC)
    _run(*f"ip link add {HOST_LINK} type veth peer name eth0 netns {NETWORK_NAMESPACE}".split())
    _run("ip", "addr", "add", f"{HOST_ADDRESS}/30", "dev", HOST_LINK)
    _run("ip", "link", "set", HOST_LINK, "up")
    _fill_namespace()
    _settle_namespace()


def down() -> None:
    """Remove all of it. What is not there is no error."""
    if NAMESPACE_FILE.exists():
        _run("ip", "netns", "del", NETWORK_NAMESPACE)
    if _succeeds("ip", "link", "show", HOST_LINK):
        # The kernel removes the link with its peer's namespace, by itself and a little later.
        _succeeds("ip", "link", "del", HOST_LINK)
    for fence in FENCED_RANGES:
        _succeeds("ip", "route", "del", "blackhole", fence, "metric", _FENCE_METRIC)


def _fill_namespace() -> None:
    # The default route ends in a pair whose both ends are inside: the stack sees a way out, and there is none.
    batch = [
        "link set lo up",
        f"addr add {NODE_ADDRESS}/30 dev eth0",
        "link set eth0 up",
        "link add dum0 type veth peer name dum1",
        "link set dum0 up",
        "link set dum1 up",
        f"route add default dev dum0 src {NODE_ADDRESS} metric 2048",
    ]
    _run("ip", "-n", NETWORK_NAMESPACE, "-batch", "-", stdin="\n".join(batch) + "\n")


def _settle_namespace() -> None:
    _run(*inside(["sysctl", "-qw", *_SETTINGS]))
    _run(*inside(["sysctl", "-qew", *_SETTINGS_IF_KNOWN]))
    # In POSTROUTING, where the real way out is known: earlier, a packet to a Service still points at the default route.
    drop = ["iptables", "-w", "-t", "mangle", "-A", "POSTROUTING", "-o", "dum0", "-j", "DROP"]
    _run(*inside(drop))


def _succeeds(*command: str) -> bool:
    try:
        return children.run(command, timeout_s=_WITHIN_S, cure="plm doctor").returncode == 0
    except children.Missing:  # it has made nothing
        return False


def _run(*command: str, stdin: str = "") -> str:
    done = children.run(command, timeout_s=_WITHIN_S, cure="plm doctor", stdin=stdin)
    if done.returncode != 0:
        raise KitError(f"{' '.join(command)}: {done.stderr.strip()}", "plm doctor")
    return done.stdout
