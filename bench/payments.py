"""Payments end to end on the running platform: over 1 to 5 hops one at a time, and as many as it takes at once.

Wall clock at the client, through the edge, TLS and all; the client shares the cores with the cluster. No peer is
pinned beside it: a payment network of another make does another thing. The 50-node mesh is installed where it is not.
"""

import asyncio
import random
import statistics
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import yaml
from plmkit import mesh_values
from plmkit.api import Api, open_api
from plmkit.credentials import load_credentials
from plmkit.receipts import Order
from plmkit.stack import Workspace
from plmkit.state import Places, find_places

from bench.harness import Case, Report, Row, percentile

SEED = 5
HOPS = (1, 2, 3, 4, 5)
ONE_BY_ONE = 200
WARM_UP = 20
CLIENTS = (8, 32)
STREAM_S = 10.0
_READY_S = 300

Pair = tuple[str, str]


def run() -> Report:
    """Measure the platform of this machine's state folder."""
    places = find_places()
    if not places.credentials.exists():
        return Report("payments", [], (), ["no running platform: plm up, then again"])
    install_mesh(places)
    return asyncio.run(_measure(places))


def install_mesh(places: Places) -> None:
    """The release of 50 nodes, Ready."""
    stack = yaml.safe_load(Workspace(places).configuration.read_text())
    chart = mesh_values.PATH.parent
    tools = places.cache / "tools" / "bin"
    target = ("--namespace", "plm", "--kubeconfig", str(places.kubeconfig))
    _run(
        tools / "helm", "upgrade", "--install", "mesh50", str(chart), *target,
        "--values", str(mesh_values.PATH),
        "--set", f"image={stack['config']['plm:images']['services']}",
    )  # fmt: skip
    _run(
        tools / "kubectl", "wait", "--for=condition=Ready", "meshnodes", "--all", *target,
        f"--timeout={_READY_S}s",
    )  # fmt: skip


def _run(program: Path, *arguments: str) -> None:
    subprocess.run([program, *arguments], check=True, capture_output=True)


@asynccontextmanager
async def _api(places: Places, connections_max: int) -> AsyncIterator[Api]:
    async with open_api(
        load_credentials(places.credentials), connections_max=connections_max
    ) as api:
        yield api


async def _measure(places: Places) -> Report:
    chance = random.Random(SEED)
    nodes = sorted(mesh_values.make_mesh(mesh_values.SEED))
    async with _api(places, max(CLIENTS)) as api:
        rows = []
        for hops in HOPS:
            pair = await _pair_of(api, nodes, hops, chance)
            rows.append(await _one_by_one(api, pair, hops))
        slope = (rows[-1].p50 - rows[0].p50) / (HOPS[-1] - HOPS[0])
        alone = Case(
            "one at a time, by hops of the route", "milliseconds", rows,
            note=f"cost per hop, from p50: {slope:.2f} ms",
        )  # fmt: skip
        streams = [await _stream(api, nodes, clients, chance) for clients in CLIENTS]
        together = Case(
            "random pairs of the 50-node mesh, clients at once", "milliseconds", streams
        )
    return Report("payments", [alone, together], ())


def _order(pair: Pair) -> Order:
    return Order(*pair, "1.00", "USD")


async def _pair_of(api: Api, nodes: Sequence[str], hops: int, chance: random.Random) -> Pair:
    while True:
        sender, receiver = chance.sample(list(nodes), 2)
        found = (await api.routes(_order((sender, receiver)), k=1))["routes"]
        if found and len(found[0]["nodes"]) == hops + 1:
            return sender, receiver


async def _pay(api: Api, pair: Pair) -> tuple[float, int]:
    """Milliseconds, and hops of the route that settled."""
    began = time.perf_counter()
    payment = await api.pay(_order(pair), uuid.uuid4().hex)
    return 1000 * (time.perf_counter() - began), len(payment.route) - 1


async def _one_by_one(api: Api, pair: Pair, hops: int) -> Row:
    for _ in range(WARM_UP):
        await _pay(api, pair)
    paid = [await _pay(api, pair) for _ in range(ONE_BY_ONE)]
    # Volumes shift as money moves, and with them the cheapest route: other lengths do not count.
    samples = [elapsed for elapsed, found in paid if found == hops]
    return _row(f"{hops} hops", samples, 0.0)


async def _stream(api: Api, nodes: Sequence[str], clients: int, chance: random.Random) -> Row:
    samples: list[float] = []
    began = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - began < STREAM_S:
            sender, receiver = chance.sample(list(nodes), 2)
            samples.append((await _pay(api, (sender, receiver)))[0])

    await asyncio.gather(*(client() for _ in range(clients)))
    return _row(f"{clients} clients", samples, len(samples) / (time.perf_counter() - began))


def _row(name: str, samples: Sequence[float], rate: float) -> Row:
    return Row(
        name,
        statistics.median(samples),
        percentile(samples, 99),
        min(samples),
        max(samples),
        rate,
    )
