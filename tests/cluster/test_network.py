"""Every declared connection is open and every other one closed, asked from inside the pods themselves."""

import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from plmkit.health import read_health
from support.platform import Platform
from support.waiting import wait_until

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
}
# No Service has this port: it is asked for at the address of the pod.
PROBES = "probes of the ledger"
PROBES_PORT = 8080
WELL_WITHIN_S = 120
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
    except TimeoutError:
        found[name] = "closed"
    except OSError as error:
        found[name] = f"reached: {error}"
print(json.dumps(found))
"""


def is_well(platform: Platform) -> bool:
    kubectl = platform.kubectl
    workloads, nodes = kubectl.get("deployments,statefulsets"), kubectl.get("meshnodes.plm.dev")
    return read_health(workloads, kubectl.get("pods"), nodes).troubles == ()


def targets(platform: Platform) -> dict[str, tuple[str, int]]:
    found = platform.kubectl.get("pods", "--selector", "app.kubernetes.io/name=ledger")
    [ledger] = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return {**TARGETS, PROBES: (ledger["status"]["podIP"], PROBES_PORT)}


def connections(
    platform: Platform, source: str, asked: Mapping[str, tuple[str, int]]
) -> dict[str, str]:
    """What each target says to a pod of this kind."""
    pod, python = SOURCES[source]
    command = platform.kubectl.command("exec", pod, "--", python, "-c", _ASK, json.dumps(asked))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def answers(platform: Platform) -> Mapping[str, Mapping[str, str]]:
    """By source, then target. Asked once: what is closed says so by saying nothing for a while."""
    # A Service without a pod that is ready refuses for itself, and would seem to have been reached.
    wait_until(lambda: is_well(platform), WELL_WITHIN_S, "all that runs is ready")
    asked = targets(platform)
    with ThreadPoolExecutor() as pool:
        heard = pool.map(lambda source: connections(platform, source, asked), SOURCES)
        return dict(zip(SOURCES, heard, strict=True))


def test_exactly_the_declared_connections_are_open(
    answers: Mapping[str, Mapping[str, str]],
) -> None:
    """Policies drop: whoever is refused has got through to somebody who does not listen."""
    said = {
        (source, target): answer
        for source, found in answers.items()
        for target, answer in found.items()
    }
    # A pod that calls its own Service meets itself, and no policy may forbid it that.
    selves = {(source, source) for source in SOURCES} | {("ledger", PROBES)}
    holes = {
        pair: answer
        for pair, answer in said.items()
        if answer != "closed" and pair not in OPEN | selves
    }
    assert holes == {}, "got through, and nobody declared it"
    shut = {pair: answer for pair, answer in said.items() if pair in OPEN and answer != "open"}
    assert shut == {}, "declared, and not open"


def test_names_resolve_everywhere(answers: Mapping[str, Mapping[str, str]]) -> None:
    """A target without an address would count as closed: the test above must not pass for that reason."""
    heard = [answer for found in answers.values() for answer in found.values()]
    assert [answer for answer in heard if answer.startswith("no address")] == []
