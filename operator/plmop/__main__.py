"""`python -m plmop`: the operator. Read top to bottom it is the architecture."""

import asyncio
import time
from functools import partial

import kopf
import structlog
from plm.telemetry import logging
from plm.telemetry.probes import ProbeServer
from plm.transport.channels import Channels
from plm.transport.lifetime import stop_event

from plmop import metrics
from plmop.actions import AskHealth, ObjectKey
from plmop.canary import Canary
from plmop.cluster import ClusterError, open_cluster
from plmop.leadership import Leadership
from plmop.mesh_node import health
from plmop.mesh_node.controller import Controller
from plmop.mesh_node.handlers import Watcher, build_registry, watch_settings
from plmop.mesh_node.manifests import Frame
from plmop.mesh_node.plan import Health
from plmop.mesh_node.reconcile import Reconciler
from plmop.mirror import Mirror
from plmop.queue import WorkQueue
from plmop.registrations import Registrations, ledger_call
from plmop.settings import OperatorSettings
from plmop.trust import TrustKeeper

log = structlog.get_logger(__name__)

_TAKE_UP_AGAIN_S = 1.0


def frame_of(settings: OperatorSettings) -> Frame:
    """What all nodes have in common."""
    return Frame(
        namespace=settings.namespace,
        image=settings.node_image,
        image_pull_policy=settings.node_image_pull_policy,
        image_pull_secrets=settings.node_image_pull_secrets,
        service_account=settings.node_service_account,
        resources=settings.node_resources,
        port=settings.node_port,
        queue_max=settings.node_queue_max,
        debug_enabled=settings.debug_enabled,
        ledger_target=settings.ledger.target,
        log_level=settings.log_level,
    )


async def ask_health(settings: OperatorSettings, question: AskHealth) -> Health:
    """Ask a node at its Service."""
    target = settings.node_target.format(node_id=question.node_id)
    return await health.ask(settings.tls, target, question)


async def lead_for_ever(leadership: Leadership, controller: Controller) -> None:
    """Act while leading, wait while another does."""
    while True:
        await leadership.acquire()
        metrics.LEADER.set(1)
        acting = asyncio.create_task(controller.lead())
        keeping = asyncio.create_task(leadership.keep())
        try:
            await asyncio.wait({acting, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if acting.done():
                acting.result()
        except ClusterError as error:
            log.warning("Failed to take up the work", problem=str(error))
            await asyncio.sleep(_TAKE_UP_AGAIN_S)
        finally:
            metrics.LEADER.set(0)
            for task in (acting, keeping):
                task.cancel()
            await asyncio.gather(acting, keeping, return_exceptions=True)


async def main() -> None:
    """Run until SIGTERM, or until something that must run has ended."""
    settings = OperatorSettings()
    logging.configure("operator", settings.log_level)
    mirror, queue = Mirror(), WorkQueue[ObjectKey]()
    canary = Canary(time.monotonic, settings.watch_silence_s_max)
    unguarded = open_cluster(settings.namespace)
    leadership = Leadership(unguarded, settings.lease, settings.pod_name, time.monotonic)
    cluster = unguarded.guarded(leadership.holds)
    channels = Channels(settings.tls)
    trust = TrustKeeper(cluster, mirror, settings)
    registrations = Registrations(ledger_call(channels, settings.ledger))
    ask = partial(ask_health, settings)
    reconciler = Reconciler(cluster, mirror, trust, registrations, queue, frame_of(settings), ask)
    controller = Controller(settings, cluster, mirror, queue, trust, registrations, reconciler)
    metrics.QUEUE_DEPTH.set_function(lambda: queue.depth)
    metrics.STUCK.set_function(controller.stuck)
    metrics.WATCH_AGE.set_function(lambda: canary.age_s)

    watching = asyncio.Event()
    probes = ProbeServer(
        settings.http_port,
        live=canary.problem,
        ready=lambda: "" if watching.is_set() else "the watches are not up yet",
    )
    await probes.start()
    stop_watching = asyncio.Event()
    watcher = Watcher(settings.namespace, mirror, queue, canary, controller.want_trust)
    watches = asyncio.create_task(
        kopf.operator(
            registry=build_registry(watcher),
            settings=watch_settings(),
            namespaces=[settings.namespace],
            # Otherwise kopf asks for the name of our user, and the image has none for it.
            identity=settings.pod_name,  # type: ignore[arg-type] # a NewType of str that kopf does not export
            standalone=True,
            ready_flag=watching,
            stop_flag=stop_watching,
        )
    )
    await asyncio.wait(
        {watches, asyncio.create_task(watching.wait())}, return_when=asyncio.FIRST_COMPLETED
    )
    # kopf takes the signals when it starts. Ours replace its: we end in our own order.
    stopping = asyncio.create_task(stop_event().wait())
    leading = asyncio.create_task(lead_for_ever(leadership, controller))
    done, _ = await asyncio.wait({watches, stopping, leading}, return_when=asyncio.FIRST_COMPLETED)
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    try:
        await leadership.release()
    except ClusterError as error:
        log.warning("Failed to release the Lease", problem=str(error))
    stop_watching.set()
    await asyncio.gather(watches, return_exceptions=True)
    await channels.close()
    await cluster.close()
    await probes.close()
    for task in done - {stopping}:
        task.result()
        raise SystemExit("a part of the operator that must run has ended")


if __name__ == "__main__":
    asyncio.run(main())
