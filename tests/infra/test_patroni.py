"""Patroni's configuration: when commits wait for a second disk, and the figures that Patroni itself insists on."""

import json
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plminfra import sizing
from plminfra.sizing import PROFILES, Size
from plminfra.stores import patroni
from plminfra.stores.postgres import PostgresArgs
from support import program
from support.program import SECRETS, Recorder

# Patroni's own bounds, from its page on dynamic configuration.
TTL_S_MIN, LOOP_WAIT_S_MIN, RETRY_TIMEOUT_S_MIN = 20, 1, 3
RESERVED_CONNECTIONS = 3  # superuser_reserved_connections


def arguments(replicas: int) -> PostgresArgs:
    def nothing() -> pulumi.Output[str]:
        """Never asked: these tests are about the shape."""
        return object.__new__(pulumi.Output)

    return PostgresArgs(
        namespace="plm",
        image="postgres",
        image_pull_policy="Never",
        image_pull_secrets=(),
        size=Size(100, 192, 512),
        volume_mib=64,
        storage_class="",
        superuser_password=nothing(),
        replication_password=nothing(),
        rewind_password=nothing(),
        replicas=replicas,
    )


def written(recorder: Recorder) -> dict[str, Any]:
    """The configuration file that the pods of this program mount."""
    [secret] = [each for each in recorder.resources.values() if each.name == "postgres-patroni"]
    [(name, text)] = secret.inputs["stringData"].items()
    assert name == "patroni.yml"
    found: dict[str, Any] = json.loads(text)
    return found


@given(st.integers(-5, 50))
def test_one_replica_or_a_majority_is_taken_and_nothing_between(replicas: int) -> None:
    """Of two neither may act when the other is gone: twice the chance of standing still."""
    if replicas == 1 or replicas >= 3:
        assert arguments(replicas).is_synchronous is (replicas > 1)
        return
    with pytest.raises(ValueError, match=f"{replicas} replicas: take 1, or 3 and more"):
        arguments(replicas)


def test_alone_no_commit_waits_for_a_standby_that_is_not_there(recorder: Recorder) -> None:
    dcs = written(recorder)["bootstrap"]["dcs"]
    assert (dcs["synchronous_mode"], dcs["synchronous_mode_strict"]) == (False, False)


def test_with_three_replicas_a_commit_is_on_two_disks_or_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny = PROFILES["tiny"]
    three = sizing.Profile(
        tiny.sizes,
        {**tiny.replicas, "postgres": 3},
        tiny.volumes_mib,
        tiny.cpu_millis_budget,
        tiny.memory_mib_budget,
    )
    monkeypatch.setattr(sizing, "PROFILES", {"tiny": three})
    recorder = program.run(program.configuration())
    dcs = written(recorder)["bootstrap"]["dcs"]
    assert (dcs["synchronous_mode"], dcs["synchronous_mode_strict"]) == (True, True)
    [pods] = [each for each in recorder.resources.values() if each.name == "postgres-pods-set"]
    assert pods.inputs["spec"]["replicas"] == 3


@pytest.mark.parametrize("is_synchronous", [True, False])
def test_patroni_takes_the_times(is_synchronous: bool) -> None:
    """It refuses a shorter time to live, and shortens the others in silence when they do not fit into it."""
    dcs = patroni.configuration(is_synchronous, "", "", "")["bootstrap"]["dcs"]
    assert dcs["ttl"] >= TTL_S_MIN
    assert dcs["loop_wait"] >= LOOP_WAIT_S_MIN
    assert dcs["retry_timeout"] >= RETRY_TIMEOUT_S_MIN
    assert dcs["loop_wait"] + 2 * dcs["retry_timeout"] <= dcs["ttl"]
    assert dcs["primary_stop_timeout"] < dcs["ttl"], "a primary that stops must be gone before"
    assert dcs["failsafe_mode"] is True, "an API server that is away must not stop the ledger"


def test_connections_suffice_for_standbys_and_for_us() -> None:
    parameters = patroni.configuration(True, "", "", "")["bootstrap"]["dcs"]["postgresql"]
    assert parameters["use_slots"]
    assert parameters["use_pg_rewind"]
    found = parameters["parameters"]
    assert found["wal_log_hints"] == "on", "pg_rewind needs it or checksums"
    assert found["max_wal_senders"] <= found["max_replication_slots"]
    assert found["max_connections"] > RESERVED_CONNECTIONS + found["max_wal_senders"]


def test_nobody_comes_in_from_outside_without_a_password() -> None:
    rules = patroni.configuration(False, "", "", "")["postgresql"]["pg_hba"]
    assert rules
    for kind, _database, _user, *rest in map(str.split, rules):
        if kind == "local":
            assert rest == ["trust"]
        else:
            assert (kind, rest[1]) == ("host", "scram-sha-256")
            # A pod's network may be as small as itself: who gets this far is for policies to say.
            assert rest[0] == "all"


def test_only_members_may_change_what_patroni_does() -> None:
    rest = patroni.configuration(True, "", "", "")["restapi"]
    assert (rest["allowlist"], rest["allowlist_include_members"]) == (["127.0.0.1"], True)


@given(st.text(), st.text(), st.text())
def test_any_password_survives_the_file(superuser: str, replication: str, rewind: str) -> None:
    read = json.loads(patroni.render(False, superuser, replication, rewind))
    found = read["postgresql"]["authentication"]
    assert [each["password"] for each in found.values()] == [superuser, replication, rewind]


def test_each_password_goes_to_its_role(recorder: Recorder) -> None:
    found = written(recorder)["postgresql"]["authentication"]
    assert {role: each["password"] for role, each in found.items()} == {
        "superuser": SECRETS["postgresSuperuser"],
        "replication": SECRETS["postgresReplication"],
        "rewind": SECRETS["postgresRewind"],
    }


def test_arguments_do_not_show_passwords() -> None:
    assert "password" not in repr(arguments(1))


def test_patroni_keeps_its_lock_under_the_names_of_our_services(recorder: Recorder) -> None:
    """It writes the Endpoints of exactly these Services; another label and they would never have an address."""
    kubernetes = written(recorder)["kubernetes"]
    scope = written(recorder)["scope"]
    services = {
        each.inputs["metadata"]["name"]: each.inputs
        for each in recorder.of_type("kubernetes:core/v1:Service")
    }
    for name in (scope, f"{scope}-config"):
        labels = services[name]["metadata"]["labels"]
        assert "selector" not in services[name]["spec"]
        assert labels[kubernetes["scope_label"]] == scope
        assert kubernetes["labels"].items() <= labels.items()
    [pods] = [each for each in recorder.resources.values() if each.name == "postgres-pods-set"]
    labels = pods.inputs["spec"]["template"]["metadata"]["labels"]
    assert {**kubernetes["labels"], kubernetes["scope_label"]: scope}.items() <= labels.items()
    assert services[scope]["spec"]["ports"][0]["name"] == kubernetes["ports"][0]["name"]


def test_postgres_memory_fits_its_pod() -> None:
    """Shared buffers, and what each connection may sort in, below the limit of every profile."""
    parameters = patroni.configuration(False, "", "", "")["postgresql"]["parameters"]
    sizes = {
        name: int(parameters[name].removesuffix("MB"))
        for name in ("shared_buffers", "work_mem", "maintenance_work_mem")
    }
    workers = parameters["autovacuum_max_workers"]
    connections = patroni.configuration(False, "", "", "")["bootstrap"]["dcs"]["postgresql"][
        "parameters"
    ]["max_connections"]
    most = (
        sizes["shared_buffers"]
        + sizes["work_mem"] * connections
        + sizes["maintenance_work_mem"] * (1 + workers)
    )
    for profile in PROFILES.values():
        assert most <= profile.size("postgres").memory_mib_max
