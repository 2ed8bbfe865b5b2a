"""The ledger's writer beside a head-row trigger and a raw batch insert, on a real Postgres with synchronous commit.

Closed loops of 1, 16 and 64 clients, each waiting for its answer before it asks again; every move is one transfer over
a link of a ring of twenty nodes, drawn at random. Wall clock, in turns of a second, everyone on uvloop as the service
is. Through gRPC the ledger is a process of its own under mutual TLS and shares the cores with its clients.
"""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import cache
from itertools import count, cycle
from time import perf_counter

import uvloop
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.orders import LinkOrder, NodeOrder, TransferOrder
from plm.ledger.writer import Writer
from support.ledger_process import LedgerProcess, running_ledger
from support.ledgers import Database, leading_writer, new_database
from support.nats import throwaway_nats
from support.postgres import PostgresServer, throwaway_postgres

from bench.harness import AGAIN, OURS, Case, Ratio, Report, Row, percentile
from bench.ledger_peers import Link, Move, accounts_of, install_trigger, raw_batch, trigger

CLIENTS = (1, 16, 64)
REPEATS = 5
TURN_S = 1.0
NODES = [f"n{number}" for number in range(20)]
VOLUME = 10**12
FLOORS = {"trigger": 20.0, "raw batch": 0.5}
_RING = list(zip(NODES, [*NODES[1:], NODES[0]], strict=True))
LINKS: list[Link] = [*_RING, *((target, source) for source, target in _RING)]


def run() -> Report:
    """In process at each number of clients, then through gRPC."""
    with throwaway_postgres(migrated=False) as server:
        databases = {
            name: new_database(server, name) for name in ("ours", "again", "raw", "chained")
        }
        cases = uvloop.run(_race(databases))
        cases.append(_through_grpc(server))
    notes = [
        f"Closed loops, {REPEATS} turns of {TURN_S:g} s each; lowest and highest: per second in a turn"
    ]
    return Report("ledger", cases, ["asyncpg", "grpcio"], notes)


async def _race(databases: Mapping[str, Database]) -> list[Case]:
    for database in databases.values():
        async with leading_writer(database.ledger) as writer:
            await _found(writer)
    await install_trigger(databases["chained"].superuser)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        moves = {
            OURS: _by_writer(await enter(leading_writer(databases["ours"].ledger))),
            "trigger": await enter(trigger(databases["chained"].ledger, max(CLIENTS))),
            "raw batch": await enter(raw_batch(databases["raw"].ledger)),
            AGAIN: _by_writer(await enter(leading_writer(databases["again"].ledger))),
        }
        cases = [await _case(moves, clients) for clients in CLIENTS]
    for database in databases.values():
        await _check(database)
    return cases


async def _found(writer: Writer) -> None:
    for node_id in NODES:
        targets = tuple(target for source, target in LINKS if source == node_id)
        order = NodeOrder(node_id, "hub", "USD", Registration(node_id, 1), targets)
        await writer.submit(order)
    for source, target in LINKS:
        registration = Registration(source, 1)
        await writer.submit(LinkOrder(source, target, LinkPolicy(1), VOLUME, registration))


def _by_writer(writer: Writer) -> Move:
    numbers = count()

    async def move(_client: int, link: Link) -> object:
        return await writer.submit(TransferOrder(f"t{next(numbers)}", *accounts_of(link), 1, "USD"))

    return move


async def _check(database: Database) -> None:
    """Whoever wrote: the money adds up, and as many transfers are there as entries tell of."""
    sums = await database.run("SELECT sum(posted) AS total FROM accounts")
    assert sums[0]["total"] == 0, database.name
    counts = await database.run(
        "SELECT (SELECT count(*) FROM transfers) AS told, (SELECT count(*) FROM entries) AS written"
    )
    assert counts[0]["told"] == counts[0]["written"] > 0, database.name


async def _case(moves: Mapping[str, Move], clients: int) -> Case:
    latencies: dict[str, list[float]] = {name: [] for name in moves}
    rates: dict[str, list[float]] = {name: [] for name in moves}
    for _ in range(REPEATS):
        for name, move in moves.items():
            found, elapsed_s = await _drive(move, clients)
            latencies[name] += found
            rates[name].append(len(found) / elapsed_s)
    rows = [_row(name, latencies[name], rates[name]) for name in moves]
    by_name = {row.name: row.rate for row in rows}
    ratios = [
        Ratio(
            f"ours / {peer}, per second",
            by_name[OURS] / by_name[peer],
            floor if clients == max(CLIENTS) else None,
        )
        for peer, floor in FLOORS.items()
    ]
    return Case(f"{clients} clients, in process", "ms", rows, ratios)


def _row(name: str, latencies: list[float], rates: list[float]) -> Row:
    return Row(
        name,
        statistics.median(latencies),
        percentile(latencies, 99),
        min(rates),
        max(rates),
        statistics.median(rates),
    )


@cache
def _links_of(client: int) -> list[Link]:
    """A client's links in an order of its own, made before it is timed."""
    return random.Random(client).choices(LINKS, k=1_000)


async def _drive(
    move: Callable[[int, Link], Awaitable[object]], clients: int
) -> tuple[list[float], float]:
    """Milliseconds of every move in one turn, and how long the turn took."""
    found: list[float] = []
    started = perf_counter()

    async def client(number: int) -> None:
        for link in cycle(_links_of(number)):
            asked = perf_counter()
            if asked > started + TURN_S:
                return
            await move(number, link)
            found.append((perf_counter() - asked) * 1_000)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return found, perf_counter() - started


def _through_grpc(server: PostgresServer) -> Case:
    database = new_database(server, "grpc")
    with throwaway_nats() as nats:
        uvloop.run(_found_alone(database))
        with running_ledger(database, nats.url) as process:
            rows = uvloop.run(_call(process))
    return Case("through gRPC, mutual TLS, one process to another", "ms", rows)


async def _found_alone(database: Database) -> None:
    async with leading_writer(database.ledger) as writer:
        await _found(writer)


async def _call(process: LedgerProcess) -> list[Row]:
    numbers = count()
    async with process.client("operator") as ledger:

        async def move(_client: int, link: Link) -> object:
            order = TransferOrder(f"t{next(numbers)}", *accounts_of(link), 1, "USD")
            return await ledger.transfer(order)

        rows = []
        for clients in CLIENTS:
            turns = [await _drive(move, clients) for _ in range(REPEATS)]
            latencies = [each for found, _ in turns for each in found]
            rates = [len(found) / elapsed_s for found, elapsed_s in turns]
            rows.append(_row(f"{clients} clients", latencies, rates))
    return rows
