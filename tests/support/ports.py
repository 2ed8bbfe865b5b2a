"""Ports for the servers that tests start as processes of their own."""

import itertools
import os
import socket
from pathlib import Path

# Below what the kernel gives to whoever asks for any port, or connects: between the look and the server's own start
# nobody is given one of these.
_FIRST = 10_000
_GIVEN_BY_THE_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_APART = 200
_tried = itertools.count()


def free_port() -> int:
    """A port that was free a moment ago on every address; never the same one twice."""
    end = int(_GIVEN_BY_THE_KERNEL.read_text().split()[0])
    assert end - _FIRST > _APART, f"the kernel gives ports from {end} on to anybody"
    # Tests run in several processes at once: each goes its own way.
    start = os.getpid() * _APART
    for number in itertools.islice(_tried, end - _FIRST):
        port = _FIRST + (start + number) % (end - _FIRST)
        if _is_free(port):
            return port
    raise AssertionError(f"every port from {_FIRST} to {end} is taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
