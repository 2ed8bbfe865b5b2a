"""NATS and Caddy: what their files say, and that it fits the pods that they run in."""

import re
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.gateway.settings import GatewaySettings
from plminfra.sizing import PROFILES, Size
from plminfra.stores import nats
from plmop.settings import OperatorSettings
from support.charts import Manifest
from support.objects import of_kind, settings_of, workloads
from support.postgres import ROOT
from support.program import Recorder, declared


def configuration(everything: list[Manifest], name: str) -> str:
    """The one file in the ConfigMap, or else the Secret, of this name."""
    [found] = [
        each
        for each in of_kind(everything, "ConfigMap", "Secret")
        if each["metadata"]["name"] == name
    ]
    [text] = found["data" if found["kind"] == "ConfigMap" else "stringData"].values()
    assert isinstance(text, str)
    return text


def setting(text: str, name: str) -> str:
    """The only value of this name in a file."""
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    [found] = re.findall(rf'\b{name}:? "?([^\s,"}}]+)', "\n".join(lines))
    return str(found)


def mib(text: str) -> int:
    assert text.endswith("MB")
    return int(text.removesuffix("MB"))


def test_a_changed_file_rolls_the_pods_that_read_it(everything: list[Manifest]) -> None:
    """It changes in place, in a ConfigMap or a Secret, and neither NATS nor Caddy nor Patroni looks again."""
    mounting = {
        each.name: (volume.get("configMap", {}).get("name", "pg-patroni"), each.pod_annotations)
        for each in workloads(everything)
        for volume in each.pod.get("volumes", [])
        if "configMap" in volume or volume.get("secret", {}).get("secretName") == "pg-patroni"
    }
    assert set(mounting) == {"nats", "edge", "pg"}
    for name, annotations in mounting.values():
        text = configuration(everything, name)
        assert sha256(text.encode()).hexdigest() in annotations.values(), name


def test_what_rolls_postgres_shows_no_secret_and_is_none(recorder: Recorder) -> None:
    """A secret one would hide the whole template from whoever reads what Pulumi is about to do."""
    [pods] = [each for each in recorder.resources.values() if each.name == "postgres-pods-set"]
    assert pods.secrets == frozenset()


def test_nats_writes_every_message_through_before_it_answers(everything: list[Manifest]) -> None:
    assert setting(configuration(everything, "nats"), "sync_interval") == "always"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_nats_stays_within_its_volume_and_its_memory(
    everything: list[Manifest], profile: Any
) -> None:
    text = configuration(everything, "nats")
    assert mib(setting(text, "max_file")) < profile.volumes_mib["nats"]
    assert mib(setting(text, "max_mem")) < profile.size("nats").memory_mib_max


def arguments(size: Size) -> nats.NatsArgs:
    return nats.NatsArgs(
        namespace="plm",
        image="nats",
        image_pull_policy="Never",
        image_pull_secrets=(),
        size=size,
        volume_mib=64,
        storage_class="",
    )


@given(st.integers(1, 100_000), st.integers(0, 100_000))
def test_go_gives_memory_back_before_the_kernel_takes_the_process(asked: int, more: int) -> None:
    size = Size(1, asked, asked + more)
    container = nats._container(arguments(size))
    [limit] = [each["value"] for each in container["env"] if each["name"] == "GOMEMLIMIT"]
    limit_mib = int(limit.removesuffix("MiB"))
    assert 0 <= limit_mib < size.memory_mib_max
    assert abs(limit_mib - 0.6 * size.memory_mib_max) < 1


def test_the_edge_serves_the_checkout_s_caddyfile(everything: list[Manifest]) -> None:
    assert configuration(everything, "edge") == (ROOT / "Caddyfile").read_text()


def test_the_edge_listens_at_the_ports_that_its_container_opens(everything: list[Manifest]) -> None:
    sites = re.findall(r"^:(\d+) \{", configuration(everything, "edge"), re.MULTILINE)
    [edge] = [each for each in workloads(everything) if each.name == "edge"]
    assert {int(port) for port in sites} == {
        port["containerPort"] for port in edge.containers[0]["ports"]
    }


def test_no_part_of_a_request_may_drip_for_ever(everything: list[Manifest]) -> None:
    """Whoever sends a byte a minute holds a place at a gateway that others wait for."""
    [timeouts] = re.findall(r"timeouts \{([^}]*)\}", configuration(everything, "edge"))
    assert {"read_header", "read_body", "idle"} <= set(timeouts.split())


def test_the_edge_balances_over_the_gateway_s_pods(everything: list[Manifest]) -> None:
    """The name resolves to pods because the Service is headless; least_conn over one address balances nothing."""
    text = configuration(everything, "edge")
    [service] = [
        each for each in of_kind(everything, "Service") if each["metadata"]["name"] == "gateway"
    ]
    assert setting(text, "name") == "gateway"
    assert service["spec"]["clusterIP"] == "None"
    assert [each["port"] for each in service["spec"]["ports"]] == [int(setting(text, "port"))]


def test_edge_and_gateway_know_each_other_by_their_certificates(everything: list[Manifest]) -> None:
    containers = {each.name: each.containers[0] for each in workloads(everything)}
    operator = settings_of(OperatorSettings, containers["plm-operator"])
    gateway = settings_of(GatewaySettings, containers["gateway"])
    called = setting(configuration(everything, "edge"), "tls_server_name")
    assert {gateway.client_name, called} == {"edge", "gateway"}
    assert {"edge", "gateway", "ledger"} == set(operator.service_certificates)
    assert list(operator.edge_addresses) == declared()["edgeAddresses"]["default"]


def test_the_edge_has_time_to_end_what_it_began(everything: list[Manifest]) -> None:
    text = configuration(everything, "edge")
    [edge] = [each for each in workloads(everything) if each.name == "edge"]
    grace_s = int(setting(text, "grace_period").removesuffix("s"))
    assert grace_s < edge.pod["terminationGracePeriodSeconds"]
