"""Every declared connection is open and every other one closed, asked from inside the pods themselves."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from plmkit.health import read_health
from support.platform import Platform
from support.waiting import wait_until

pytestmark = pytest.mark.cluster

# Where a connection may be tried from: what has a Python to try it with, and stand-ins for what has none or has ended.
STAND_INS = ("edge", "nats", "migrate")
SOURCES = {
    **{name: (f"pod/stand-in-{name}", "python") for name in STAND_INS},
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
    ("edge", "gateway"),
    ("migrate", "postgres"),
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
_RESOLVE = """
import json, socket, sys
asked = json.loads(sys.argv[1])
print(json.dumps({name: [socket.gethostbyname(host), port] for name, (host, port) in asked.items()}))
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
    found: dict[str, str] = said(platform, source, _ASK, asked)
    return found


def said(
    platform: Platform, source: str, program: str, asked: Mapping[str, tuple[str, int]]
) -> Any:
    """What a program prints in a pod of this kind."""
    pod, python = SOURCES[source]
    command = platform.kubectl.command("exec", pod, "--", python, "-c", program, json.dumps(asked))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stand_in(name: str, image: str, release: str) -> dict[str, Any]:
    """A pod that policies take for one of these. It is never ready, so no Service sends anybody to it."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": release}
    container = {
        "name": "it",
        "image": image,
        "command": ["python", "-c", "import time; time.sleep(600)"],
        "readinessProbe": {"exec": {"command": ["false"]}},
        "resources": {"limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"stand-in-{name}", "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }


@pytest.fixture(scope="module")
def stand_ins(platform: Platform) -> Iterator[None]:
    kubectl = platform.kubectl
    # A Service without a pod that is ready refuses for itself, and would seem to have been reached.
    wait_until(lambda: is_well(platform), WELL_WITHIN_S, "all that runs is ready")
    [ledger] = kubectl.get("deployment", "ledger")
    image = ledger["spec"]["template"]["spec"]["containers"][0]["image"]
    release = ledger["metadata"]["labels"]["app.kubernetes.io/instance"]
    items = [stand_in(name, image, release) for name in STAND_INS]
    pods = {"apiVersion": "v1", "kind": "List", "items": items}
    names = [f"pod/stand-in-{name}" for name in STAND_INS]
    apply = kubectl.command("apply", "--filename=-")
    subprocess.run(apply, input=json.dumps(pods), text=True, check=True, timeout=60)
    running = ("wait", "--for=jsonpath={.status.phase}=Running", "--timeout=60s", *names)
    try:
        subprocess.run(kubectl.command(*running), check=True, timeout=90)
        yield
    finally:
        subprocess.run(kubectl.command("delete", *names), check=True, timeout=60)


@pytest.fixture(scope="module")
def answers(platform: Platform, stand_ins: None) -> Mapping[str, Mapping[str, str]]:
    """By source, then target. Asked once: what is closed says so by saying nothing for a while."""
    by_name = targets(platform)
    # NATS calls nobody, a name server neither: it is asked to go by address, as a stranger in its pod would.
    by_address = said(platform, "gateway", _RESOLVE, by_name)
    asked = {source: by_address if source in STAND_INS else by_name for source in SOURCES}
    with ThreadPoolExecutor() as pool:
        heard = pool.map(lambda source: connections(platform, source, asked[source]), SOURCES)
        return dict(zip(SOURCES, heard, strict=True))


def test_exactly_the_declared_connections_are_open(
    answers: Mapping[str, Mapping[str, str]],
) -> None:
    """Policies drop: whoever is refused has got through to somebody who does not listen."""
    answered = {
        (source, target): answer
        for source, found in answers.items()
        for target, answer in found.items()
    }
    # A pod that calls its own Service meets itself, and no policy may forbid it that.
    selves = {(source, source) for source in SOURCES} | {("ledger", PROBES)}
    holes = {
        pair: answer
        for pair, answer in answered.items()
        if answer != "closed" and pair not in OPEN | selves
    }
    assert holes == {}, "got through, and nobody declared it"
    shut = {pair: answer for pair, answer in answered.items() if pair in OPEN and answer != "open"}
    assert shut == {}, "declared, and not open"


def test_names_resolve_everywhere(answers: Mapping[str, Mapping[str, str]]) -> None:
    """A target without an address would count as closed: the test above must not pass for that reason."""
    heard = [answer for found in answers.values() for answer in found.values()]
    assert [answer for answer in heard if answer.startswith("no address")] == []
