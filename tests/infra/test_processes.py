"""The arrow from chart values to settings crosses a language: for each process of ours both ends are asked."""

import re
from pathlib import Path
from typing import Any

import pytest
from plm.domain.graph import Entropy
from plm.gateway.settings import GatewaySettings
from plm.ledger.settings import LedgerSettings
from plm.migrate.settings import MigrateSettings
from plm.node.settings import NodeSettings
from plmop.settings import OperatorSettings
from pydantic_settings import BaseSettings
from support import charts
from support.charts import Manifest
from support.objects import Workload, environment_of, of_kind, settings_of, workloads
from support.postgres import ROOT
from support.program import CHART, IMAGES, Recorder
from support.settings_names import environment_names, paths_in, required_names

PROCESSES: dict[str, type[BaseSettings]] = {
    "plm.gateway": GatewaySettings,
    "plm.ledger": LedgerSettings,
    "plm.migrate": MigrateSettings,
    "plm.node": NodeSettings,
    "plmop": OperatorSettings,
}
TEMPLATES = ROOT / "charts" / "plm-services" / "templates"
MOUNTED = Path("/var/run/plm")


def ours(found: list[Manifest]) -> list[tuple[Workload, dict[str, Any], type[BaseSettings]]]:
    """Each process of ours: where it runs, its container, and what it reads."""
    return [
        (each, dict(container), PROCESSES[container["command"][-1]])
        for each in workloads(found)
        for container in each.containers
        if container.get("command", [])[:2] == ["python", "-m"]
    ]


def process(module: str, found: list[Manifest]) -> tuple[Workload, dict[str, Any]]:
    """The first that runs this module."""
    return next((each, of) for each, of, kind in ours(found) if kind is PROCESSES[module])


def test_all_processes_are_asked(everything: list[Manifest]) -> None:
    assert {kind for _, _, kind in ours(everything)} == set(PROCESSES.values())


def test_a_process_reads_every_variable_that_it_is_given(everything: list[Manifest]) -> None:
    """A misspelt name would leave the default in force, in silence."""
    for where, container, kind in ours(everything):
        names = set(environment_of(container))
        assert names, where
        assert {name for name in names if not name.startswith("PLM_")} == set(), where
        assert names - environment_names(kind) == set(), where


def test_a_process_is_given_every_variable_that_it_must_have(everything: list[Manifest]) -> None:
    for where, container, kind in ours(everything):
        assert required_names(kind) - set(environment_of(container)) == set(), where
    assert required_names(MigrateSettings) == {"PLM_LEDGER_PASSWORD_FILE"}


def test_every_variable_that_a_template_names_is_looked_at_here(everything: list[Manifest]) -> None:
    for path in sorted(TEMPLATES.glob("*.yaml")):
        named = set(re.findall(r"\bPLM_[A-Z0-9_]+", path.read_text()))
        module = f"plm.{path.stem}"
        if named:
            assert named == set(environment_of(process(module, everything)[1])), path.name


def test_what_the_program_says_arrives(recorder: Recorder, everything: list[Manifest]) -> None:
    """Hosts, ports and switches, read as the process itself reads them."""
    [values] = [
        each.inputs["values"] for each in recorder.of_type(CHART) if each.name == "plm-services"
    ]
    ledger = settings_of(LedgerSettings, process("plm.ledger", everything)[1])
    gateway = settings_of(GatewaySettings, process("plm.gateway", everything)[1])
    migrate = settings_of(MigrateSettings, process("plm.migrate", everything)[1])
    for read in (ledger.postgres, migrate.postgres):
        assert (read.host, read.port) == (values["postgres"]["host"], values["postgres"]["port"])
    assert ledger.nats.url == gateway.nats.url == values["nats"]["url"]
    assert gateway.debug_enabled is values["debugEnabled"] is True
    assert gateway.entropy == values["entropy"]
    assert (ledger.postgres.user, migrate.postgres.user) == ("ledger", "postgres")


@pytest.mark.parametrize("entropy", charts.schema("plm-services")["properties"]["entropy"]["enum"])
@pytest.mark.parametrize("debug_enabled", [True, False])
def test_switches_arrive_as_they_are_set(entropy: str, debug_enabled: bool) -> None:
    found = charts.render(
        "plm-services",
        {"image": IMAGES["services"], "entropy": entropy, "debugEnabled": debug_enabled},
    )
    gateway = settings_of(GatewaySettings, process("plm.gateway", found)[1])
    assert (gateway.entropy, gateway.debug_enabled) == (Entropy(entropy), debug_enabled)


def test_where_services_are_called_is_where_they_listen(everything: list[Manifest]) -> None:
    """Ports and names stand in defaults of several classes: here they meet."""
    services = {each["metadata"]["name"]: each["spec"] for each in of_kind(everything, "Service")}
    ledger_port = settings_of(LedgerSettings, process("plm.ledger", everything)[1]).grpc_port
    node = settings_of(NodeSettings, process("plm.node", everything)[1])
    gateway = settings_of(GatewaySettings, process("plm.gateway", everything)[1])
    operator = settings_of(OperatorSettings, process("plmop", everything)[1])
    for target, port in (
        (node.ledger.target, ledger_port),
        (gateway.ledger.target, ledger_port),
        (operator.ledger.target, ledger_port),
        (node.target_of("b"), node.grpc_port),
        (gateway.target_of("b"), node.grpc_port),
        (operator.node_target.format(node_id="b"), node.grpc_port),
        (gateway.nats.url.removeprefix("nats://"), 4222),
    ):
        name, _, called = target.partition(":")
        assert [each["port"] for each in services[name]["ports"]] == [int(called)], target
        assert int(called) == port


def test_processes_listen_at_the_ports_that_their_containers_open(
    everything: list[Manifest],
) -> None:
    for where, container, kind in ours(everything):
        settings = settings_of(kind, container)
        listening = {
            getattr(settings, name)
            for name in ("grpc_port", "https_port", "http_port")
            if name in type(settings).model_fields
        }
        opened = {port["containerPort"] for port in container.get("ports", [])}
        assert opened == listening, where


def test_every_file_that_a_setting_names_lies_in_a_secret_that_is_mounted_there(
    everything: list[Manifest],
) -> None:
    operator = settings_of(OperatorSettings, process("plmop", everything)[1])
    issued = {f"{name}-tls" for name in operator.service_certificates} | {
        each["metadata"]["name"]
        for each in of_kind(everything, "Secret")
        if each.get("type") == "kubernetes.io/tls"
    }
    keys = {
        each["metadata"]["name"]: set(each.get("stringData", {}))
        for each in of_kind(everything, "Secret")
    } | {name: {"tls.crt", "tls.key", "ca.crt"} for name in issued}
    for where, container, kind in ours(everything):
        secrets = {each["name"]: each.get("secret") for each in where.pod.get("volumes", [])}
        mounts = {
            Path(each["mountPath"]): secrets[each["name"]] for each in container["volumeMounts"]
        }
        for path in paths_in(settings_of(kind, container)):
            if not path.is_relative_to(MOUNTED):
                continue
            folder = path if path in mounts else path.parent
            assert folder in mounts, (where, path)
            secret = mounts[folder]
            if kind is OperatorSettings:
                assert secret is None, "the operator writes its own certificate, into memory"
                continue
            assert secret is not None, (where, path)
            wanted = {path.name} if folder != path else {"tls.crt", "tls.key", "ca.crt"}
            assert wanted <= keys[secret["secretName"]], (where, path)


def test_whatever_is_mounted_is_there(everything: list[Manifest]) -> None:
    """A pod that mounts what nobody makes waits for ever."""
    operator = settings_of(OperatorSettings, process("plmop", everything)[1])
    made = {("secret", f"{name}-tls") for name in operator.service_certificates}
    made |= {("secret", each["metadata"]["name"]) for each in of_kind(everything, "Secret")}
    made |= {("configMap", each["metadata"]["name"]) for each in of_kind(everything, "ConfigMap")}
    mounted = {
        (kind, volume[kind].get("secretName") or volume[kind].get("name"))
        for each in workloads(everything)
        for volume in each.pod.get("volumes", [])
        for kind in ("secret", "configMap")
        if kind in volume
    }
    assert mounted
    assert mounted - made == set()


def test_a_process_has_time_to_end_what_it_began(everything: list[Manifest]) -> None:
    """After SIGTERM it drains for so long; kubelet kills it when the grace period is over."""
    drained = set()
    for where, container, kind in ours(everything):
        settings = settings_of(kind, container)
        if "drain_s" in type(settings).model_fields:
            drained.add(kind)
            grace_s = where.pod["terminationGracePeriodSeconds"]
            assert settings.model_dump()["drain_s"] < grace_s, where
    assert drained == {GatewaySettings, LedgerSettings, NodeSettings}
