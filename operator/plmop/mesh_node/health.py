"""Asking a node itself, over mutual TLS, whether it serves."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from plm.transport.channels import Channels

from plmop.actions import AskHealth
from plmop.mesh_node.manifests import Owner
from plmop.mesh_node.plan import Health

_TIMEOUT_S = 2.0


async def ask(channels: Channels, question: AskHealth, target: str) -> Health:
    """The node's answer; no answer is one too. Keeps no connection open: it is asked rarely."""
    server_name = Owner(question.node_id, "").child
    try:
        channel = channels.channel(target, server_name)
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return Health(
            question.incarnation, is_serving=False, problem=error.details() or "no answer"
        )
    except OSError as error:
        problem = f"our own certificate is missing: {error}"
        return Health(question.incarnation, is_serving=False, problem=problem)
    finally:
        channels.forget(target, server_name)
    if reply.status == health_pb2.HealthCheckResponse.SERVING:
        return Health(question.incarnation, is_serving=True)
    answer = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    return Health(question.incarnation, is_serving=False, problem=f"gRPC health is {answer}")
