"""`python -m plm.node`: one mesh node."""

import uvloop

from plm.node.engine import Engine, Pool
from plm.node.hold_point import HoldPoint
from plm.node.server import NodeServer
from plm.node.settings import NodeSettings
from plm.stores.ledger import LedgerClient
from plm.stores.peers import PeerClient
from plm.telemetry import logging
from plm.telemetry.probes import ProbeServer
from plm.transport.channels import Channels
from plm.transport.lifetime import stop_event
from plm.transport.server import GrpcServer
from plm.wire.plm_pb2_grpc import add_NodeServicer_to_server


async def main() -> None:
    """Run until SIGTERM."""
    settings = NodeSettings()
    logging.configure(f"node-{settings.node_id}", settings.log_level)
    stop = stop_event()
    channels = Channels(settings.tls)
    hold_point = HoldPoint()
    engine = Engine(
        settings.node_id,
        LedgerClient(channels, settings.ledger),
        PeerClient(channels, settings.target_of),
        Pool(settings.workers_max, settings.queue_max),
        hold_point.pass_by,
    )
    server = GrpcServer(settings.tls, settings.grpc_port)
    node = NodeServer(engine, hold_point, debug_enabled=settings.debug_enabled)
    add_NodeServicer_to_server(node, server.server)
    probes = ProbeServer(settings.http_port)
    await server.start()
    await server.set_serving(serving=True)
    await probes.start()
    await stop.wait()
    await server.drain(settings.drain_s)
    await channels.close()
    await probes.close()


if __name__ == "__main__":
    uvloop.run(main())
