"""Asking a node itself, over mutual TLS, whether it serves."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from plm.transport.tls import TlsSettings, channel_credentials, read_material

from plmop.actions import AskHealth
from plmop.mesh_node.manifests import Owner
from plmop.mesh_node.plan import Health

_TIMEOUT_S = 5.0


async def ask(tls: TlsSettings, target: str, question: AskHealth) -> Health:
    """The node's answer; no answer is one too. Leaves no connection behind: a node is asked rarely."""
    try:
        credentials = channel_credentials(read_material(tls))
    except (OSError, ValueError) as error:
        return _not_serving(question, f"our own certificate cannot be used: {error}")
    options = [("grpc.ssl_target_name_override", Owner(question.node_id, "").child)]
    try:
        async with grpc.aio.secure_channel(target, credentials, options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return _not_serving(question, error.details() or "no answer")
    if reply.status == health_pb2.HealthCheckResponse.SERVING:
        return Health(question.incarnation, is_serving=True)
    answer = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    return _not_serving(question, f"gRPC health is {answer}")


def _not_serving(question: AskHealth, problem: str) -> Health:
    return Health(question.incarnation, is_serving=False, problem=problem)
