"""A gRPC server under mutual TLS: errors mapped, calls measured, health served, a stop that drains."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health  # type: ignore[attr-defined] # the stubs lack it

from plm.domain.errors import Code, PlmError, Unavailable
from plm.telemetry.metrics import RPC_SECONDS
from plm.transport import errors
from plm.transport.tls import TlsSettings, server_credentials

log = structlog.get_logger(__name__)

# How far health may lag behind the truth.
_FOLLOW_S = 0.2

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", 1024 * 1024),
)


class _Boundary(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs alone
    """Every unary call passes here: what it raises becomes a status, how long it took becomes a metric."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # a handler; its type takes parameters in the stubs alone
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = handler_call_details.method.rsplit("/", 1)[-1]
        behaviour: Callable[[Any, Any], Awaitable[Any]] = handler.unary_unary

        async def call(request: Any, context: Any) -> Any:
            started = time.perf_counter()
            outcome = "cancelled"  # by a caller that hung up, unless we come to know better
            try:
                answer = await behaviour(request, context)
            except PlmError as error:
                outcome = str(error.code)
                await errors.abort(context, error)
            except Exception:
                # Last line of defence: the caller learns nothing but that it may have happened.
                outcome = str(Code.INTERNAL)
                log.exception("Failed a call", method=method)
                lost = Unavailable(
                    Code.INTERNAL, "internal error; see the log", effect_unknown=True
                )
                await errors.abort(context, lost)
            else:
                outcome = "ok"
                return answer
            finally:
                RPC_SECONDS.labels(method, outcome).observe(time.perf_counter() - started)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class GrpcServer:
    """One listening port. Register servicers on `.server`, then start()."""

    def __init__(self, tls: TlsSettings, port: int, address: str = "[::]") -> None:
        self.server = grpc.aio.server(interceptors=[_Boundary()], options=list(OPTIONS))
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        self.port = self.server.add_secure_port(f"{address}:{port}", server_credentials(tls))

    async def start(self) -> None:
        """Listen; health says NOT_SERVING until set_serving(True)."""
        await self.set_serving(serving=False)
        await self.server.start()

    async def set_serving(self, *, serving: bool) -> None:
        """What gRPC health answers."""
        state = health_pb2.HealthCheckResponse
        await self._health.set("", state.SERVING if serving else state.NOT_SERVING)

    async def follow(self, is_well: Callable[[], bool]) -> None:
        """Keep health in step with a verdict, for ever."""
        while True:
            await self.set_serving(serving=is_well())
            await asyncio.sleep(_FOLLOW_S)

    async def drain(self, grace_s: float) -> None:
        """Refuse new calls, let those under way end within the grace."""
        await self.set_serving(serving=False)
        # At once is None: a grace of nothing ends by an exception inside gRPC's own coroutine, and Python 3.11 has been
        # seen to crash there.
        await self.server.stop(grace_s or None)
