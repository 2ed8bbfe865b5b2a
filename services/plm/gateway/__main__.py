"""`python -m plm.gateway`: the HTTP door of the mesh."""

import asyncio
from contextlib import AsyncExitStack

import uvloop

from plm.gateway.app import create_app
from plm.gateway.engine import Payments
from plm.gateway.keys import Keys
from plm.gateway.live_graph import LiveGraph
from plm.gateway.routes import Parts
from plm.gateway.serving import serve
from plm.gateway.settings import GatewaySettings
from plm.stores.ledger import LedgerClient
from plm.stores.nats import open_bus
from plm.stores.peers import PeerClient
from plm.telemetry import logging
from plm.telemetry.probes import ProbeServer
from plm.transport.channels import Channels
from plm.transport.lifetime import stop_event


async def main() -> None:
    """Run until SIGTERM."""
    settings = GatewaySettings()
    logging.configure("gateway", settings.log_level)
    stop = stop_event()
    async with AsyncExitStack() as stack:
        channels = Channels(settings.tls)
        stack.push_async_callback(channels.close)
        ledger = LedgerClient(channels, settings.ledger)
        peers = PeerClient(channels, settings.target_of)
        bus = await stack.enter_async_context(open_bus(settings.nats))
        graph = LiveGraph(ledger, bus, settings.entropy)
        following = asyncio.create_task(graph.run())
        stack.callback(following.cancel)
        listening = asyncio.Event()

        def why_not_ready() -> str:
            if not graph.is_loaded:
                return "no mesh from the ledger"
            return "" if listening.is_set() else "takes no connections"

        probes = ProbeServer(settings.http_port, ready=why_not_ready)
        await probes.start()
        stack.push_async_callback(probes.close)
        parts = Parts(
            Payments(ledger, peers, graph, settings.payments_in_flight_max),
            graph,
            ledger,
            peers,
            Keys(settings.api_keys_file),
            settings.entropy,
            settings.debug_enabled,
        )
        serving = asyncio.create_task(serve(create_app(parts), settings, stop, listening))
        # A gateway that no longer follows the mesh must not go on routing over an old one.
        await asyncio.wait({serving, following}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await serving
        if following.done():
            following.result()


if __name__ == "__main__":
    uvloop.run(main())
