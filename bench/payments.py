"""Payments end to end on the running platform: over 1 to 5 hops one at a time, and as many as it takes at once.

Wall clock at the client, through the edge, TLS and all; the client shares the cores with the cluster. No peer is
pinned beside it: a payment network of another make does another thing. The 50-node mesh is installed where it is not.
Settled payments alone are timed. What cannot be measured is named as such, and the bench fails.
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
from plmkit.console import KitError
from plmkit.credentials import load_credentials
from plmkit.problems import Problem
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
PAIR_TRIES_MAX = 500
SAMPLES_MIN = 50
_READY_S = 300

Pair = tuple[str, str]


class NotMeasured(Exception):
    """Why there is no figure."""


def run() -> Report:
    """Measure the platform of this machine's state folder."""
    places = find_places()
    if not places.credentials.exists():
        return Report("payments", [], (), ["no platform was started: plm up, then again"])
    try:
        install_mesh(places)
        return asyncio.run(_measure(places))
    except (NotMeasured, KitError) as error:
        return Report("payments", [], (), [f"{error}: plm status, plm up, then again"])


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
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotMeasured(f"{program.name} is missing") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["without a word"]
        raise NotMeasured(f"{program.name} failed: {said[-1]}")


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
        alone = await _alone(api, nodes, chance)
        together = await _together(api, nodes, chance)
    return Report("payments", [alone, together], ())


async def _alone(api: Api, nodes: Sequence[str], chance: random.Random) -> Case:
    case = Case("one at a time, by hops of the route", "milliseconds", [])
    for hops in HOPS:
        try:
            pair = await _pair_of(api, nodes, hops, chance)
            case.rows.append(await _one_by_one(api, pair, hops))
        except NotMeasured as error:
            case.missing.append(str(error))
    if not case.missing:
        slope = (case.rows[-1].p50 - case.rows[0].p50) / (HOPS[-1] - HOPS[0])
        case.note = f"cost per hop, from p50: {slope:.2f} ms"
    return case


async def _together(api: Api, nodes: Sequence[str], chance: random.Random) -> Case:
    case = Case("random pairs of the 50-node mesh, clients at once", "milliseconds", [])
    for clients in CLIENTS:
        try:
            row, unsettled = await _stream(api, nodes, clients, chance)
        except NotMeasured as error:
            case.missing.append(str(error))
        else:
            case.rows.append(row)
            case.note += f"{row.name}: {unsettled} not settled, and not counted. "
    return case


def _order(pair: Pair) -> Order:
    return Order(*pair, "1.00", "USD")


async def _pair_of(api: Api, nodes: Sequence[str], hops: int, chance: random.Random) -> Pair:
    for _ in range(PAIR_TRIES_MAX):
        sender, receiver = chance.sample(list(nodes), 2)
        found = (await api.routes(_order((sender, receiver)), k=1))["routes"]
        if found and len(found[0]["nodes"]) == hops + 1:
            return sender, receiver
    raise NotMeasured(f"none of {PAIR_TRIES_MAX} pairs has a route of {hops} hops")


async def _pay(api: Api, pair: Pair) -> tuple[float, int | None]:
    """Milliseconds, and hops of the route that settled; None where none did."""
    began = time.perf_counter()
    try:
        payment = await api.pay(_order(pair), uuid.uuid4().hex)
    except Problem:
        # Refused, or unknown to the end: no payment whose time could be told.
        return 1000 * (time.perf_counter() - began), None
    hops = len(payment.route) - 1 if payment.state == "settled" else None
    return 1000 * (time.perf_counter() - began), hops


async def _one_by_one(api: Api, pair: Pair, hops: int) -> Row:
    for _ in range(WARM_UP):
        await _pay(api, pair)
    paid = [await _pay(api, pair) for _ in range(ONE_BY_ONE)]
    # Volumes shift as money moves, and with them the cheapest route: other lengths do not count.
    samples = [elapsed for elapsed, found in paid if found == hops]
    if len(samples) < SAMPLES_MIN:
        told = f"{len(samples)} of {ONE_BY_ONE} payments settled over {hops} hops"
        raise NotMeasured(f"{told}, {SAMPLES_MIN} are needed")
    return _row(f"{hops} hops", samples, 0.0)


async def _stream(
    api: Api, nodes: Sequence[str], clients: int, chance: random.Random
) -> tuple[Row, int]:
    """The settled payments, and how many others there were."""
    paid: list[tuple[float, int | None]] = []
    began = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - began < STREAM_S:
            sender, receiver = chance.sample(list(nodes), 2)
            paid.append(await _pay(api, (sender, receiver)))

    await asyncio.gather(*(client() for _ in range(clients)))
    elapsed_s = time.perf_counter() - began
    samples = [elapsed for elapsed, hops in paid if hops is not None]
    if len(samples) < SAMPLES_MIN:
        raise NotMeasured(f"{len(samples)} of {len(paid)} payments of {clients} clients settled")
    row = _row(f"{clients} clients", samples, len(samples) / elapsed_s)
    return row, len(paid) - len(samples)


def _row(name: str, samples: Sequence[float], rate: float) -> Row:
    return Row(
        name,
        statistics.median(samples),
        percentile(samples, 99),
        min(samples),
        max(samples),
        rate,
    )
