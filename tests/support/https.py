"""An application behind real HTTPS, in a thread beside a test or a process of `plm`."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import trustme
import uvicorn
from starlette.applications import Starlette


@contextmanager
def served(app: Starlette, authority: trustme.CA, address: str = "127.0.0.1") -> Iterator[int]:
    """Serve at this address and the port that is told.

    On asyncio's TLS: a socket of `ssl` itself stays open, and its warning fails some later test,
    when a client was killed between its connection and its handshake.
    """
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.load()
    config.ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", address).configure_cert(config.ssl)
    server = uvicorn.Server(config)
    with socket.create_server((address, 0)) as door:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join()
