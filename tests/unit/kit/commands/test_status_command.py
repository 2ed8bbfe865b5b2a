"""`plm status`: one screen, also when nothing runs, and the next thing to type."""

import json
from pathlib import Path
from typing import Any

import pytest
from plmkit import kubectl
from plmkit.localcluster import processes
from plmkit.localcluster.layout import Layout
from support.kit_process import Kit
from support.programs import put

GATEWAY = {
    "kind": "Deployment",
    "metadata": {"name": "gateway", "labels": {}},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "gateway"}}},
    "status": {"readyReplicas": 1},
}
CRASHING = {
    "kind": "Pod",
    "metadata": {"name": "gateway-1", "labels": {"app": "gateway"}},
    "status": {
        "containerStatuses": [
            {
                "name": "gateway",
                "ready": False,
                "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            }
        ]
    },
}
FAILED_JOB = {
    "kind": "Job",
    "metadata": {"name": "migrate-1f", "labels": {"app.kubernetes.io/name": "migrate"}},
    "status": {
        "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
    },
}
# Answers from files; the mesh's kind is there when its file is.
KUBECTL = """
echo "$*" >> {folder}/asked
case "$*" in
  *meshnodes*) test -e {folder}/nodes || {{ cat {folder}/why-no-nodes >&2; exit 1; }}; cat {folder}/nodes ;;
  *) test -e {folder}/objects || {{ cat {folder}/refusal >&2; exit 1; }}; cat {folder}/objects ;;
esac
"""


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    put(tmp_path / "cache" / "tools" / "bin", "kubectl", KUBECTL.format(folder=tmp_path))
    (tmp_path / "why-no-nodes").write_text(
        'error: the server doesn\'t have a resource type "meshnodes"\n'
    )
    (tmp_path / "refusal").write_text("Unable to connect to the server: dial tcp: i/o timeout\n")
    return Kit(tmp_path)


def start(kit: Kit) -> None:
    """As after a first `plm up`."""
    kit.state.mkdir()
    (kit.state / "kubeconfig").touch()


def answer(kit: Kit, *objects: dict[str, Any], nodes: list[dict[str, Any]] | None = None) -> None:
    (kit.folder / "objects").write_text(json.dumps({"items": objects}))
    if nodes is not None:
        (kit.folder / "nodes").write_text(json.dumps({"items": nodes}))


def node(name: str, status: str = "True") -> dict[str, Any]:
    condition = {"type": "Ready", "status": status, "reason": "PodNotReady", "message": "its pod"}
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


def test_before_the_first_start_it_says_what_to_type(kit: Kit) -> None:
    done = kit.call("status")
    assert done.returncode == 3
    assert done.stdout == "cluster   down: no cluster was started yet\nnext      plm up\n"
    assert not kit.state.exists()
    found = kit.json("status", exit_code=3)
    assert found["cluster"] == "down"
    assert found["troubles"] == [{"what": "no cluster was started yet", "cure": "plm up"}]


def test_a_stopped_cluster_is_not_asked(kit: Kit) -> None:
    """Its address would be asked through the machine's own way out."""
    start(kit)
    (kit.state / "cluster" / "etcd").mkdir(parents=True)
    found = kit.json("status", exit_code=3)
    assert found["troubles"] == [{"what": "the cluster is stopped", "cure": "plm up"}]
    assert not any(found["daemons"].values())
    assert set(found["daemons"]) >= {"etcd", "kubelet", "kube-apiserver"}
    assert not (kit.folder / "asked").exists()


def test_a_half_dead_cluster_names_its_dead_daemons(kit: Kit) -> None:
    """etcd lives: this very process plays it."""
    start(kit)
    record = Layout(kit.state).record("etcd")
    record.parent.mkdir(parents=True)
    stat = Path("/proc/self/stat").read_text()
    record.write_text(f"{processes.boot_id()}\nf1\n{stat}")
    done = kit.call("status")
    assert done.returncode == 3
    assert "the cluster's API server does not answer; not running: containerd, " in done.stdout
    assert "etcd" not in done.stdout
    assert done.stdout.endswith("next      plm up\n")


@pytest.mark.parametrize(
    "words",
    [
        "The connection to the server 198.51.100.2:6443 was refused - did you specify it?",
        "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded)",
        "error: Get https://198.51.100.2:6443/api: dial tcp: connect: no route to host",
        "error: Get https://198.51.100.2:6443/api: dial tcp: i/o timeout",
    ],
)
def test_however_kubectl_puts_it_nobody_answers(kit: Kit, words: str) -> None:
    start(kit)
    (kit.folder / "refusal").write_text(f"E0501 memcache.go:265] couldn't get list\n{words}\n")
    assert kit.json("status", exit_code=3)["troubles"][0]["cure"] == "plm up"


def test_a_kubectl_that_hangs_is_a_cluster_that_does_not_answer(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose plugin waits for somebody to sign in."""
    start(kit)
    monkeypatch.setattr(kubectl, "_WITHIN_S", 0.3)
    put(kit.cache / "tools" / "bin", "kubectl", "exec sleep 60")
    [trouble] = kit.json("status", exit_code=3)["troubles"]
    assert trouble["what"].endswith("has not ended within 0 s")
    assert "get deployments" in trouble["cure"]


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ('pods is forbidden: User "x" cannot list', "kubectl auth can-i --list -n plm"),
        ('context "prod" does not exist', "kubectl config get-contexts"),
        ("You must be logged in to the server", "{kubectl} get deployments,"),
    ],
)
def test_what_kubectl_refuses_otherwise_is_an_error_in_its_own_words(
    kit: Kit, words: str, cure: str
) -> None:
    """And the cure is never the command that has just failed."""
    start(kit)
    (kit.folder / "refusal").write_text(f"error: {words}\n")
    done = kit.call("status")
    assert done.returncode == 3, "nothing of the platform was seen: no verdict on it"
    assert done.stdout == ""
    binary = f"{kit.cache}/tools/bin/kubectl --kubeconfig {kit.state}/kubeconfig --namespace plm"
    assert f"plm: kubectl: error: {words}\n  try: {cure.format(kubectl=binary)}" in done.stderr
    assert "plm status" not in done.stderr


@pytest.mark.parametrize("answered", ["", '{"items": [{"kind": "Po', "[]", "welcome to kubectl"])
def test_an_answer_that_is_no_list_of_objects_is_told(kit: Kit, answered: str) -> None:
    start(kit)
    (kit.folder / "objects").write_text(answered)
    done = kit.call("status")
    assert done.returncode == 3
    assert "plm: kubectl: its answer is no list of objects\n  try: " in done.stderr


def test_all_well_is_said_with_what_one_may_do_next(kit: Kit) -> None:
    start(kit)
    answer(kit, GATEWAY, nodes=[node("a")])
    done = kit.call("status")
    assert done.returncode == 0, done.stderr
    assert "gateway  1/1" in done.stdout
    assert done.stdout.endswith("all well  next: plm demo, or plm pay A D 10000.00 USD\n")
    assert "\x1b" not in done.stdout


def test_troubles_end_with_one_and_each_has_its_next_command(kit: Kit) -> None:
    start(kit)
    answer(kit, {**GATEWAY, "status": {}}, CRASHING, nodes=[node("b", "False")])
    done = kit.call("status")
    assert done.returncode == 1
    assert (
        "wrong     gateway: 0 of 1 ready: CrashLoopBackOff\n  next    plm logs gateway\n"
        in done.stdout
    )
    assert "wrong     node b: PodNotReady: its pod\n" in done.stdout
    found = kit.json("status", exit_code=1)
    assert [trouble["cure"] for trouble in found["troubles"]] == [
        "plm logs gateway",
        "kubectl describe meshnode b -n plm, and plm logs b",
    ]


def test_a_failed_job_is_wrong_though_all_that_serves_is_well(kit: Kit) -> None:
    """A migration that failed: the services of before go on."""
    start(kit)
    answer(kit, GATEWAY, FAILED_JOB, nodes=[node("a")])
    done = kit.call("status")
    assert done.returncode == 1
    assert done.stdout.endswith(
        "wrong     job migrate-1f: BackoffLimitExceeded\n  next    plm logs migrate\n"
    )
    found = kit.json("status", exit_code=1)
    assert [(job["name"], job["is_done"]) for job in found["jobs"]] == [("migrate-1f", False)]
    assert ",jobs," in (kit.folder / "asked").read_text()


def test_a_cluster_that_does_not_know_mesh_nodes_yet_has_none(kit: Kit) -> None:
    start(kit)
    answer(kit, GATEWAY)
    found = kit.json("status")
    assert (found["cluster"], found["nodes"]) == ("running", [])


@pytest.mark.parametrize(
    "words",
    ["error: meshnodes.plm.dev is forbidden", "Unable to connect to the server: i/o timeout"],
)
def test_mesh_nodes_that_could_not_be_seen_are_not_all_well(kit: Kit, words: str) -> None:
    start(kit)
    answer(kit, GATEWAY)
    (kit.folder / "why-no-nodes").write_text(f"{words}\n")
    done = kit.call("status")
    assert done.returncode == 3
    assert "all well" not in done.stdout


def test_of_a_large_mesh_only_what_is_not_ready_is_shown(kit: Kit) -> None:
    start(kit)
    many = [node(f"n{number:02d}") for number in range(49)]
    answer(kit, GATEWAY, nodes=[*many, node("broken", "False")])
    done = kit.call("status")
    assert "broken  no" in done.stdout
    assert "n00" not in done.stdout
    assert "nodes     49 of 50 ready" in done.stdout


def test_another_cluster_is_asked_by_its_context(kit: Kit) -> None:
    answer(kit, GATEWAY, nodes=[])
    kit.json("status", "--context", "prod")
    kit.with_variables(PLM_CONTEXT="stage").json("status")
    asked = (kit.folder / "asked").read_text().splitlines()
    contexts = {line.split()[1] for line in asked if line.startswith("--context")}
    assert contexts == {"prod", "stage"}


def test_whatever_is_wrong_on_another_cluster_its_cures_are_for_that_one(kit: Kit) -> None:
    """A plain `plm up` would start the embedded one."""
    elsewhere = ("status", "--context", "team/x")
    cures = [kit.json(*elsewhere, exit_code=3)["troubles"][0]["cure"]]
    assert cures == ["kubectl cluster-info --context team/x"]
    for words in ("pods is forbidden", 'the server doesn\'t have a resource type "jobs"'):
        (kit.folder / "refusal").write_text(f"error: {words}\n")
        cures.append(kit.call(*elsewhere).stderr.rpartition("try: ")[2].strip())
    answer(kit)
    cures += [trouble["cure"] for trouble in kit.json(*elsewhere, exit_code=1)["troubles"]]
    answer(kit, {**GATEWAY, "status": {}}, CRASHING, FAILED_JOB, nodes=[node("b", "False")])
    cures += [trouble["cure"] for trouble in kit.json(*elsewhere, exit_code=1)["troubles"]]
    assert cures[1:] == [
        "kubectl auth can-i --list -n plm --context team/x",
        "plm up --context team/x",
        "plm up --context team/x",
        "plm logs migrate --context team/x",
        "plm logs gateway --context team/x",
        "kubectl describe meshnode b -n plm --context team/x, and plm logs b --context team/x",
    ]
    answer(kit, GATEWAY, nodes=[node("a")])
    assert kit.call(*elsewhere).stdout.endswith(
        "next: plm demo --context team/x, or plm pay A D 10000.00 USD --context team/x\n"
    )


def test_without_kubectl_one_is_told_what_brings_it(tmp_path: Path) -> None:
    kit = Kit(tmp_path, system_programs=False)
    done = kit.call("status")
    assert done.returncode == 3
    assert "kubectl is missing" in done.stderr
    assert "try: plm tools" in done.stderr
