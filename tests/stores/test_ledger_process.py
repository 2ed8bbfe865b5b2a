"""The ledger as a process: killed while it works, it keeps every word it gave; and it knows who is calling."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from plm.domain.errors import Code, PlmError, Unavailable
from plm.domain.orders import CloseOrder, TransferOrder
from plm.domain.payments import AttemptState
from support import demo_mesh
from support.ledger_process import LedgerProcess, running_ledger
from support.ledgers import Database, ask_all, leading_writer, verify
from support.nats import NatsServer
from support.postgres import PostgresServer, throwaway_postgres
from support.waiting import until

CLIENTS = 16
ROUNDS = 4
_ROUNDS_MAX = 30
_BUSY = 40  # answers to wait for before the next kill: so that each one hits a ledger at work


@dataclass
class History:
    """What clients were told, kept outside the system."""

    ok: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


async def found(database: Database) -> None:
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())


@pytest.fixture
def process(database: Database, nats: NatsServer) -> Iterator[LedgerProcess]:
    asyncio.run(found(database))
    with running_ledger(database, nats.url) as running:
        yield running


async def load(process: LedgerProcess, history: History, client: int, stop: asyncio.Event) -> None:
    """One transfer after another, each with a new id; what was lost is never asked again here."""
    number = 0
    async with process.client("operator") as ledger:
        while not stop.is_set():
            number += 1
            name = f"t{client}-{number}"
            try:
                order = TransferOrder(name, "link/a/b", "link/b/a", 1, "USD")
                history.ok[name] = await ledger.transfer(order)
            except Unavailable as error:
                (history.unknown if error.effect_unknown else history.refused).add(name)
                await asyncio.sleep(0.05)


async def judge(history: History, database: Database, nats: NatsServer) -> None:
    """Every acknowledged transfer is there as acknowledged; none that was surely not done; none twice."""
    rows = await database.run("SELECT seq, hash, transfer_id FROM entries WHERE kind = 'transfer'")
    stored = {row["transfer_id"]: (row["seq"], row["hash"]) for row in rows}
    assert len(stored) == len(rows)
    assert history.ok.items() <= stored.items()
    assert stored.keys() <= history.ok.keys() | history.unknown
    assert (await verify(database, nats.url)).findings == ()


async def test_kill_9_under_load_loses_no_acknowledged_command(
    process: LedgerProcess, database: Database, nats: NatsServer
) -> None:
    history, stop = History(), asyncio.Event()
    tasks = [asyncio.create_task(load(process, history, client, stop)) for client in range(CLIENTS)]
    for _ in range(ROUNDS):
        enough = len(history.ok) + _BUSY
        await until(lambda: len(history.ok) >= enough, 30, "the ledger works")  # noqa: B023 - awaited here
        process.service.kill()
        process.service.start()
    enough = len(history.ok) + _BUSY
    await until(lambda: len(history.ok) >= enough, 30, "the ledger works again")
    stop.set()
    await asyncio.gather(*tasks)
    assert history.unknown, "no kill hit a command under way: the run proves nothing"
    await judge(history, database, nats)


async def test_what_was_unknown_is_known_after_asking_again(
    process: LedgerProcess, database: Database, nats: NatsServer
) -> None:
    """The same id again: done once, whether or not it had been done before."""
    history, stop = History(), asyncio.Event()
    tasks = [asyncio.create_task(load(process, history, client, stop)) for client in range(CLIENTS)]
    await until(lambda: len(history.ok) >= _BUSY, 30, "the ledger works")
    process.service.kill()
    stop.set()
    await asyncio.gather(*tasks)
    process.service.start()
    await asyncio.to_thread(process.service.wait_ready)
    async with process.client("operator") as ledger:
        for name in history.unknown | history.refused:
            order = TransferOrder(name, "link/a/b", "link/b/a", 1, "USD")
            history.ok[name] = await ledger.transfer(order)
    history.unknown.clear()
    await judge(history, database, nats)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A Postgres that may be killed."""
    with throwaway_postgres() as started:
        yield started


async def test_kill_9_of_postgres_under_load_loses_no_acknowledged_command(
    own_server: PostgresServer, nats: NatsServer
) -> None:
    """The writer stays; it tells what it does not know, and leads again on its own."""
    database, history = Database(own_server, "plm"), History()
    async with leading_writer(database.ledger) as writer:
        await ask_all(writer, demo_mesh.founding())
        stop = asyncio.Event()

        async def load_in_process(client: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                name = f"t{client}-{number}"
                try:
                    answer = await writer.submit(
                        TransferOrder(name, "link/a/b", "link/b/a", 1, "USD")
                    )
                    history.ok[name] = (answer.entry_seq, answer.entry_hash)  # type: ignore[union-attr] # a transfer's answer is a Transfer
                except Unavailable as error:
                    (history.unknown if error.effect_unknown else history.refused).add(name)
                    await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(load_in_process(client)) for client in range(CLIENTS)]
        for killed in range(_ROUNDS_MAX):
            if killed >= ROUNDS and history.unknown:
                break  # a kill between two batches leaves nothing unknown, and proves less
            enough = len(history.ok) + 500
            await until(lambda: len(history.ok) >= enough, 30, "the ledger works")  # noqa: B023 - awaited here
            own_server.kill()
            await asyncio.to_thread(own_server.start)
        stop.set()
        await asyncio.gather(*tasks)
        await until(lambda: writer.leads, 30, "it leads again")
    assert history.unknown, "no kill hit a batch under way: the run proves nothing"
    await judge(history, database, nats)


async def test_a_payment_settles_over_grpc_as_each_party_sees_it(process: LedgerProcess) -> None:
    """The gateway opens, each node holds its own hop, the first one posts; the receipt says what happened."""
    offer = demo_mesh.attempt_order("p")
    async with process.client("gateway") as gateway:
        await gateway.begin_payment(demo_mesh.payment_order("p"))
        await gateway.begin_attempt(offer)
        async with process.client("node-a") as a, process.client("node-b") as b:
            with pytest.raises(PlmError) as caught:
                await b.hold("p", 1, 0)
            assert caught.value.code is Code.NOT_OWNER
            holds = (await a.hold("p", 1, 0), await b.hold("p", 1, 1))
            with pytest.raises(PlmError) as caught:
                await b.post_attempt("p", 1, holds)
            assert caught.value.code is Code.NOT_OWNER
            posted = await a.post_attempt("p", 1, holds)
            assert await a.post_attempt("p", 1, holds) == posted
        receipt = await gateway.get_payment("p")
        entries, head_seq = await gateway.entries("", 0, 1_000)
        assert (await gateway.balance("link/d/b")).posted == "1000"
        links = (await gateway.snapshot())[1]
    assert posted.state is AttemptState.POSTED
    assert receipt.attempts == (posted,)
    volumes = {link.key: link.liquidity_volume for link in links}
    assert volumes["a", "b"] == demo_mesh.VOLUME - 1100
    by_seq = {entry.seq: entry.hash for entry in entries}
    assert all(by_seq[hold.entry_seq] == hold.entry_hash for hold in posted.holds)
    assert head_seq == max(by_seq)


@pytest.mark.parametrize("caller", ["node-a", "operator"])
async def test_only_the_gateway_begins_payments_and_reads_accounts(
    process: LedgerProcess, caller: str
) -> None:
    async with process.client(caller) as ledger:
        for call in (
            ledger.begin_payment(demo_mesh.payment_order("p")),
            ledger.balance("link/a/b"),
            ledger.entries("", 0, 1),
            ledger.verify(),
        ):
            with pytest.raises(PlmError) as caught:
                await call
            assert caught.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("caller", ["gateway", "node-a"])
async def test_only_the_operator_moves_money_at_once(process: LedgerProcess, caller: str) -> None:
    """A gateway pays over the mesh alone, where every node has a say in what leaves its links."""
    order = TransferOrder("theft", "link/a/b", "link/b/a", 1, "USD")
    async with process.client(caller) as ledger:
        with pytest.raises(PlmError) as caught:
            await ledger.transfer(order)
    assert caught.value.code is Code.FORBIDDEN
    async with process.client("operator") as ledger:
        await ledger.transfer(order)


async def test_a_node_reads_its_own_payments_and_closes_only_attempts_it_is_part_of(
    process: LedgerProcess,
) -> None:
    async with process.client("gateway") as gateway:
        await gateway.begin_payment(demo_mesh.payment_order("p"))
        await gateway.begin_attempt(demo_mesh.attempt_order("p"))
    async with process.client("node-c") as stranger:
        for call in (stranger.get_payment("p"), stranger.close_attempt(CloseOrder("p", 1, "why"))):
            with pytest.raises(PlmError) as caught:
                await call
            assert caught.value.code is Code.NOT_OWNER
    async with process.client("node-b") as b:
        closed = await b.close_attempt(CloseOrder("p", 1, "no answer", "d"))
    assert (closed.state, closed.failed_node) == (AttemptState.CLOSED, "d")


@pytest.mark.parametrize("payment_id", ["nobody's", "nul\0"])
async def test_what_cannot_be_known_is_refused_not_failed(
    process: LedgerProcess, payment_id: str
) -> None:
    async with process.client("gateway") as gateway:
        with pytest.raises(PlmError) as caught:
            await gateway.get_payment(payment_id)
    assert caught.value.code in {Code.UNKNOWN_PAYMENT, Code.INVALID_REQUEST}
