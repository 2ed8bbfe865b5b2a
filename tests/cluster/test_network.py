"""Every declared connection is open and every other one closed, asked from inside the pods themselves."""

import itertools
import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.platform import Platform

pytestmark = pytest.mark.cluster

# Where a connection may be tried from: what has a Python to try it with.
SOURCES = {
    "gateway": ("deploy/gateway", "python"),
    "ledger": ("deploy/ledger", "python"),
    "node": ("deploy/node-a", "python"),
    "operator": ("deploy/plm-operator", "python"),
    "postgres": ("pod/pg-0", "/usr/bin/python3"),
}
TARGETS = {
    "gateway": ("gateway", 8443),
    "ledger": ("ledger", 7443),
    "node": ("node-b", 7443),
    "postgres": ("pg", 5432),
    "patroni": ("pg-0.pg-pods", 8008),
    "nats": ("nats", 4222),
    "edge": ("edge", 8443),
    "apiserver": ("kubernetes.default", 443),
    "host": ("198.51.100.1", 22),
    "probes of the ledger": ("ledger", 8080),
}
OPEN = {
    ("gateway", "ledger"),
    ("gateway", "node"),
    ("gateway", "nats"),
    ("ledger", "postgres"),
    ("ledger", "nats"),
    ("node", "ledger"),
    ("node", "node"),
    ("operator", "ledger"),
    ("operator", "node"),
    ("operator", "apiserver"),
    ("postgres", "postgres"),
    ("postgres", "patroni"),
    ("postgres", "apiserver"),
}
_ASK = """
import json, socket, sys
found = {}
for name, (host, port) in json.loads(sys.argv[1]).items():
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4]
    except OSError as error:
        found[name] = f"no address: {error}"
        continue
    try:
        socket.create_connection(address, timeout=1.5).close()
        found[name] = "open"
    except ConnectionRefusedError:
        found[name] = "refused"
    except OSError as error:
        found[name] = "closed"
print(json.dumps(found))
"""


def connections(platform: Platform, source: str) -> dict[str, str]:
    """What each target says to a pod of this kind."""
    pod, python = SOURCES[source]
    command = platform.kubectl.command("exec", pod, "--", python, "-c", _ASK, json.dumps(TARGETS))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def answers(platform: Platform) -> Mapping[str, Mapping[str, str]]:
    """By source, then target. Asked once: what is closed says so by saying nothing for a while."""
    with ThreadPoolExecutor() as pool:
        asked = pool.map(lambda source: connections(platform, source), SOURCES)
        return dict(zip(SOURCES, asked, strict=True))


def test_exactly_the_declared_connections_are_open(
    answers: Mapping[str, Mapping[str, str]],
) -> None:
    found = {
        (source, target)
        for source, target in itertools.product(SOURCES, TARGETS)
        if answers[source][target] == "open"
    }
    # A pod that calls its own Service meets itself, and no policy may forbid it that.
    selves = {(source, source) for source in SOURCES}
    assert found - OPEN - selves == set(), "open, and nobody declared it"
    assert OPEN - found == set(), f"declared, and not open: {answers}"


def test_names_resolve_everywhere(answers: Mapping[str, Mapping[str, str]]) -> None:
    """A target without an address would count as closed: the test above must not pass for that reason."""
    heard = [answer for found in answers.values() for answer in found.values()]
    assert [answer for answer in heard if answer.startswith("no address")] == []
