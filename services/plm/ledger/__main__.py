"""`python -m plm.ledger`: the ledger service. Read top to bottom it is the architecture."""

import asyncio
from contextlib import AsyncExitStack

import uvloop

from plm.ledger.outbox import OutboxPublisher
from plm.ledger.reading import Reader
from plm.ledger.server import LedgerServer
from plm.ledger.settings import LedgerSettings
from plm.ledger.verifying import Auditor
from plm.ledger.writer import Writer
from plm.stores.nats import open_bus
from plm.stores.postgres import open_pool
from plm.telemetry import logging
from plm.telemetry.probes import ProbeServer
from plm.transport.lifetime import stop_event
from plm.transport.server import GrpcServer
from plm.wire.plm_pb2_grpc import add_LedgerServicer_to_server


async def main() -> None:
    """Run until SIGTERM."""
    settings = LedgerSettings()
    logging.configure("ledger", settings.log_level)
    stop = stop_event()
    async with AsyncExitStack() as stack:
        writer = Writer(settings.postgres, queue_max=settings.queue_max)
        probes = ProbeServer(
            settings.http_port, ready=lambda: "" if writer.leads else "not the writer"
        )
        await probes.start()
        stack.push_async_callback(probes.close)
        bus = await stack.enter_async_context(open_bus(settings.nats))
        pool = await stack.enter_async_context(open_pool(settings.postgres))
        server = GrpcServer(settings.tls, settings.grpc_port)
        ledger = LedgerServer(writer, Reader(pool, bus), Auditor(settings.postgres, bus))
        add_LedgerServicer_to_server(ledger, server.server)
        await server.start()
        work = [
            asyncio.create_task(writer.run()),
            asyncio.create_task(OutboxPublisher(pool, bus, writer).run()),
            asyncio.create_task(server.follow(lambda: writer.leads)),
        ]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, *work}, return_when=asyncio.FIRST_COMPLETED)
        await server.drain(settings.drain_s)
        for task in work:
            task.cancel()
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


if __name__ == "__main__":
    uvloop.run(main())
