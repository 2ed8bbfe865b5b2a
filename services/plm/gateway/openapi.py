"""`python -m plm.gateway.openapi`: writes docs/openapi.json from the routes."""

import json
from pathlib import Path

from nats.aio.client import Client

from plm.gateway.app import create_app
from plm.gateway.engine import Payments
from plm.gateway.keys import Keys
from plm.gateway.live_graph import LiveGraph
from plm.gateway.routes import Parts
from plm.gateway.settings import GatewaySettings
from plm.stores.ledger import LedgerClient
from plm.stores.nats import Bus
from plm.stores.peers import PeerClient
from plm.transport.channels import Channels

PATH = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


def render() -> str:
    """The file's text, debug routes included. Nothing is connected for it."""
    settings = GatewaySettings()
    channels = Channels(settings.tls)
    ledger = LedgerClient(channels, settings.ledger)
    peers = PeerClient(channels, settings.target_of)
    graph = LiveGraph(ledger, Bus(Client(), settings.nats), settings.entropy)
    parts = Parts(
        Payments(ledger, peers, graph, settings.payments_in_flight_max),
        graph,
        ledger,
        peers,
        Keys(settings.api_keys_file),
        settings.entropy,
        debug_enabled=True,
    )
    return json.dumps(create_app(parts).openapi(), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(render())
