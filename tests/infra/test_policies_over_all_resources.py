"""What holds for every object of the platform, whoever made it: the program, a chart, or the operator."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from plminfra.config import REGISTRY_LOGIN
from support import charts, objects, program
from support.charts import Manifest
from support.objects import Workload, of_kind, title, workloads
from support.program import IMAGES, SECRETS, texts_of

PULL_SECRET = "kubernetes.io/dockerconfigjson"
LABELS = {f"app.kubernetes.io/{name}" for name in ("name", "component", "part-of", "managed-by")}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
REQUIRED = {
    "plm-operator": {"image": IMAGES["operator"], "nodeImage": IMAGES["services"]},
    "plm-services": {"image": IMAGES["services"]},
}
BY_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
Container = Mapping[str, Any]


def each_container(
    found: Iterable[Manifest], *, staying: bool = False
) -> list[tuple[str, Container]]:
    """All containers with the name of where they are."""
    return [
        (f"{each}: {container['name']}", container)
        for each in workloads(found)
        for container in each.containers
        if each.stays or not staying
    ]


def test_all_that_makes_pods_is_looked_at(everything: list[Manifest]) -> None:
    """Else the policies below would hold for nothing."""
    assert {re.sub("-[0-9a-f]{10}$", "", each.name) for each in workloads(everything)} == {
        *("pg", "nats", "edge", "plm-operator", "ledger", "gateway", "migrate"),
        *("node-a", "node-b", "node-c", "node-d"),
    }
    assert of_kind(everything, "Pod", "DaemonSet", "CronJob", "ReplicaSet") == []


def test_all_objects_are_in_the_namespace(everything: list[Manifest]) -> None:
    """What is not could outlive `pulumi destroy`, and would need rights over the whole cluster."""
    outside = [
        title(each)
        for each in everything
        if each["kind"] != "Namespace" and each["metadata"].get("namespace", "plm") != "plm"
    ]
    assert outside == []
    assert of_kind(everything, "ClusterRole", "ClusterRoleBinding", "PersistentVolume") == []


def test_the_namespace_takes_in_nothing_but_restricted_pods(everything: list[Manifest]) -> None:
    [namespace] = of_kind(everything, "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"


def test_every_pod_runs_as_somebody_under_a_filter(everything: list[Manifest]) -> None:
    for each in workloads(everything):
        security = each.pod["securityContext"]
        assert security["runAsNonRoot"] is True, each
        assert min(security["runAsUser"], security["runAsGroup"], security["fsGroup"]) > 0, each
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, each
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & each.pod.keys(), each


def test_no_container_has_a_right_that_it_does_not_need(everything: list[Manifest]) -> None:
    wrong = [
        name
        for name, container in each_container(everything)
        if container["securityContext"] != RESTRICTED
    ]
    assert wrong == []


def test_pods_mount_nothing_of_the_machine(everything: list[Manifest]) -> None:
    kinds = {
        (str(each), kind)
        for each in workloads(everything)
        for volume in each.pod.get("volumes", [])
        for kind in volume
        if kind != "name"
    }
    assert {kind for _, kind in kinds} <= {"secret", "configMap", "emptyDir"}


def test_every_container_asks_for_what_it_needs_and_has_an_end(everything: list[Manifest]) -> None:
    """Cores have no limit on purpose: a throttled writer holds its lock for longer."""
    for name, container in each_container(everything):
        resources = container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), name
        assert "memory" in resources["limits"], name
        assert "cpu" not in resources["limits"], name


@pytest.mark.parametrize("probe", ["readinessProbe", "livenessProbe"])
def test_every_container_that_stays_is_probed(everything: list[Manifest], probe: str) -> None:
    without = [
        name
        for name, container in each_container(everything, staying=True)
        if probe not in container
    ]
    assert without == []


def test_probes_knock_at_a_port_that_the_container_has(everything: list[Manifest]) -> None:
    for name, container in each_container(everything, staying=True):
        ports = {each for port in container["ports"] for each in port.values()}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if kind in container:
                assert container[kind]["httpGet"]["port"] in ports, (name, kind)


def test_a_slow_start_is_no_reason_to_be_killed(everything: list[Manifest]) -> None:
    """Where no startup probe holds the others back, a process has the liveness probe's time alone."""
    for name, container in each_container(everything, staying=True):
        probe = container["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 60, name


def test_a_token_is_mounted_only_where_a_role_is_bound_to_it(everything: list[Manifest]) -> None:
    bound = {
        subject["name"]
        for binding in of_kind(everything, "RoleBinding")
        for subject in binding["subjects"]
    }
    mounting = {
        each.name: each.pod.get("serviceAccountName", "default")
        for each in workloads(everything)
        if each.pod.get("automountServiceAccountToken", True)
    }
    assert set(mounting.values()) <= bound
    assert mounting == {"pg": "pg", "plm-operator": "plm-operator"}


def test_no_pod_gets_a_variable_for_each_service(everything: list[Manifest]) -> None:
    """They look like settings, and Patroni and NATS read theirs from the environment."""
    assert [
        each.name for each in workloads(everything) if each.pod.get("enableServiceLinks", True)
    ] == []


def test_every_account_that_a_pod_names_is_there(everything: list[Manifest]) -> None:
    accounts = {each["metadata"]["name"] for each in of_kind(everything, "ServiceAccount")}
    named = {each.pod.get("serviceAccountName", "default") for each in workloads(everything)}
    assert named - {"default"} == accounts


def test_roles_name_what_they_allow(everything: list[Manifest]) -> None:
    for role in of_kind(everything, "Role"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], title(role)


def labelled(everything: list[Manifest]) -> Iterable[tuple[str, Mapping[str, str]]]:
    for each in everything:
        yield title(each), each["metadata"].get("labels", {})
    for workload in workloads(everything):
        yield f"pods of {workload}", workload.pod_labels


def test_everything_carries_the_standard_labels(everything: list[Manifest]) -> None:
    without = [
        name
        for name, labels in labelled(everything)
        if not name.startswith("Namespace/") and not labels.keys() >= LABELS
    ]
    assert without == []
    assert {labels["app.kubernetes.io/part-of"] for _, labels in labelled(everything)} == {"plm"}


def test_every_image_is_named_by_its_digest_and_comes_from_the_stack(
    everything: list[Manifest],
) -> None:
    images = {name: container["image"] for name, container in each_container(everything)}
    assert {name: text for name, text in images.items() if not BY_DIGEST.search(text)} == {}
    assert set(images.values()) == set(IMAGES.values())


@pytest.mark.parametrize("policy", ["Always", "Never"])
def test_the_stack_says_when_images_are_pulled_the_mesh_nodes_too(policy: str) -> None:
    """Asked with what is no default anywhere: else a part that never hears of it would agree by chance."""
    found = objects.everything(program.run(program.configuration(imagePullPolicy=policy)))
    policies = {name: container["imagePullPolicy"] for name, container in each_container(found)}
    assert "Deployment/node-a: node" in policies
    assert {name: other for name, other in policies.items() if other != policy} == {}


def pulled_with(each: Workload) -> list[str]:
    """The names of the Secrets by which its images are pulled."""
    return [secret["name"] for secret in each.pod.get("imagePullSecrets", [])]


def test_every_pod_pulls_by_the_login_that_the_stack_keeps_the_mesh_nodes_too() -> None:
    login = '{"auths": {"registry.example": {"auth": "a-login"}}}'
    secrets = {**SECRETS, REGISTRY_LOGIN: login}
    recorder = program.run(program.configuration(secrets=secrets))
    found = objects.everything(recorder)
    [secret] = [each for each in of_kind(found, "Secret") if each.get("type") == PULL_SECRET]
    assert secret["stringData"] == {".dockerconfigjson": login}
    assert any(login in each.secrets for each in recorder.resources.values())
    pulling = {each.name: pulled_with(each) for each in workloads(found)}
    assert {"pg", "nats", "edge", "plm-operator", "ledger", "gateway", "node-a"} <= pulling.keys()
    wanted = [secret["metadata"]["name"]]
    assert {name: other for name, other in pulling.items() if other != wanted} == {}


def test_pods_that_need_no_login_to_pull_name_none(everything: list[Manifest]) -> None:
    """Not even an empty list: the API server drops it, and whoever compares would find it missing for ever."""
    assert [each.name for each in workloads(everything) if "imagePullSecrets" in each.pod] == []


def test_secrets_stand_in_secrets_and_nowhere_else(everything: list[Manifest]) -> None:
    """Not in a variable, an argument, a ConfigMap, a label: those are shown to whoever may look at a pod."""
    leaks = [
        (title(each), name)
        for each in everything
        if each["kind"] != "Secret"
        for text in texts_of(each)
        for name, secret in SECRETS.items()
        if secret in text
    ]
    assert leaks == []


def test_no_variable_is_filled_from_a_secret(everything: list[Manifest]) -> None:
    """A variable shows in /proc, in crash reports and in every child; a file is read when it is needed."""
    for name, container in each_container(everything):
        assert "envFrom" not in container, name
        sources = {kind for each in container.get("env", []) for kind in each.get("valueFrom", {})}
        assert sources <= {"fieldRef"}, name


def test_mounted_secrets_are_for_the_process_alone(everything: list[Manifest]) -> None:
    modes = {
        (str(each), volume["name"]): volume["secret"].get("defaultMode", 0o644)
        for each in workloads(everything)
        for volume in each.pod.get("volumes", [])
        if "secret" in volume
    }
    assert modes
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o037} == {}


def test_a_disruption_budget_comes_with_a_second_pod_only(everything: list[Manifest]) -> None:
    """For a single one it would block every drain."""
    single = {each.name for each in workloads(everything) if each.replicas < 2}
    assert single.isdisjoint(each["metadata"]["name"] for each in budgets(everything))


def budgets(found: Iterable[Manifest]) -> list[Manifest]:
    return of_kind(found, "PodDisruptionBudget")


@pytest.mark.parametrize(
    ("chart", "several", "name"),
    [
        ("plm-operator", {"replicas": 2}, "plm-operator"),
        ("plm-services", {"gateway": {"replicas": 3}}, "gateway"),
    ],
)
def test_of_several_pods_a_drain_takes_one_at_a_time(
    chart: str, several: dict[str, Any], name: str
) -> None:
    found = charts.render(chart, {**REQUIRED[chart], **several})
    [budget] = budgets(found)
    [workload] = [each for each in workloads(found) if each.name == name]
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["selector"]["matchLabels"].items() <= workload.pod_labels.items()
    assert budgets(charts.render(chart, REQUIRED[chart])) == []


def test_a_drain_of_the_ledger_is_never_blocked() -> None:
    """Of several ledgers one alone is ready: a budget would count the others as gone, and keep that one for ever."""
    values = {**REQUIRED["plm-services"], "ledger": {"replicas": 2}}
    assert budgets(charts.render("plm-services", values)) == []


def test_every_selector_finds_the_pods_of_one_workload(everything: list[Manifest]) -> None:
    """And each workload its own alone: with a shared label two would count each other's pods."""
    for each in everything:
        selector = each.get("spec", {}).get("selector", {})
        match = selector.get("matchLabels", selector if each["kind"] == "Service" else {})
        if match:
            found = [
                workload.name
                for workload in workloads(everything)
                if match.items() <= workload.pod_labels.items()
            ]
            assert len(found) == 1, (title(each), found)
