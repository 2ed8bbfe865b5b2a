"""The plan's specification: from any observed set, plan and apply reach the desired set and then plan nothing."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plm.domain.mesh import LinkPolicy, Registration
from plm.domain.orders import DisableOrder, LinkOrder, NodeOrder
from plmop import certificates
from plmop.actions import (
    Apply,
)
from plmop.likeness import is_covered
from plmop.mesh_node import manifests
from plmop.mesh_node.plan import (
    CertificateFacts,
    is_node_registered,
    missing_links,
    plan,
    standing_refusals,
)
from plmop.mesh_node.spec import InvalidSpec, MeshNodeSpec, read_spec
from plmop.mesh_node.status import judge
from support.harms import (
    ANY_CHILD,
    CURRENT,
    DEPLOYMENT,
    NAMES,
    OWNER,
    SECRET,
    SERVICE,
    child,
    issue,
    stranger,
)
from support.plan_world import Former, PlanWorld
from support.stage import link
from support.troupe import FRAME, LIFETIME_S

AVAILABLE = {
    "observedGeneration": 9, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
}  # fmt: skip

VOLUMES = st.sampled_from(("0", "1.00", "25.00", "1000000.00"))
LINKS = st.lists(
    st.builds(
        lambda to, volume, fee: link(to, volume, baseFee=fee),
        st.sampled_from("bcde"),
        VOLUMES,
        st.sampled_from(("0", "1.00")),
    ),
    max_size=4,
    unique_by=lambda item: str(item["to"]),
)
SPECS = st.builds(
    lambda links, role, workers: read_spec(
        "a", {"currency": "USD", "links": links, "role": role, "workersMax": workers}
    ),
    LINKS,
    st.sampled_from(("sme", "provider", "hub")),
    st.sampled_from((1, 32)),
)


def commands() -> st.SearchStrategy[list[Former]]:
    """What may have been registered before: by an older generation, by another object, by hand."""
    registration = st.builds(
        # Older than the object is now: one generation of one object has one content.
        Registration,
        st.sampled_from(("uid-a", "uid-before")),
        st.integers(1, OWNER.generation - 1),
    )
    node = st.builds(
        NodeOrder,
        st.sampled_from("abc"),
        st.sampled_from(("sme", "hub")),
        st.just("USD"),
        registration,
        st.lists(st.sampled_from("bcd"), unique=True).map(tuple),
    )
    policy = st.sampled_from((100, 0)).map(LinkPolicy)
    links = st.builds(
        LinkOrder,
        st.sampled_from("ab"),
        st.sampled_from("bcd"),
        policy,
        st.sampled_from((0, 100, 2500)),
        registration,
    )
    disabled = st.sampled_from("ab").map(DisableOrder)
    return st.lists(node | links | disabled, max_size=8)


HARMS = {"Deployment": DEPLOYMENT, "Service": SERVICE, "Secret": SECRET}


def all_children(spec: MeshNodeSpec) -> dict[str, Any]:
    """What is to be there in the end, by kind."""
    return {
        "Deployment": manifests.deployment(OWNER, spec, FRAME),
        "Service": manifests.service(OWNER, FRAME),
        "Secret": {**manifests.secret(OWNER), "data": issue(CURRENT, NAMES)},
    }


@given(data=st.data(), spec=SPECS, history=commands(), is_available=st.booleans())
@settings(max_examples=200)
def test_any_observed_set_converges(
    data: st.DataObject,
    spec: MeshNodeSpec,
    history: list[Former],
    is_available: bool,
) -> None:
    """Plan and apply, again and again: the desired set is reached, and then nothing is planned."""
    desired = all_children(spec)
    world = PlanWorld.after(history)
    for kind, manifest in desired.items():
        found = data.draw(child(manifest, (*ANY_CHILD, *HARMS[kind])), label=kind)
        if found is not None:
            world.objects[kind] = found
    if is_available and "Deployment" in world.objects:
        world.objects["Deployment"]["status"] = dict(AVAILABLE)
    world.converge(spec)
    observed = world.observe()
    assert plan(spec, observed, FRAME).actions == ()
    for kind in ("Deployment", "Service"):
        assert is_covered(desired[kind], world.objects[kind])
    leaf = observed.certificate.leaf
    assert leaf is not None
    assert certificates.why_due(leaf, NAMES, now_s=observed.now_s, settled_at_s=0) == ""
    assert leaf.bundle == CURRENT.bundle
    refused = {refusal.order for refusal in standing_refusals(spec, observed)}
    node = manifests.node_order(OWNER, spec)
    assert is_node_registered(node, observed.ledger.node) or node in refused
    for order in missing_links(spec, observed) if node not in refused else ():
        assert order in refused or order.to_node not in observed.ledger.peers


@given(
    data=st.data(),
    spec=SPECS,
    strange=st.sets(st.sampled_from(sorted(HARMS)), min_size=1),
    history=commands(),
)
@settings(max_examples=200)
def test_no_plan_ever_touches_what_the_node_does_not_own(
    data: st.DataObject, spec: MeshNodeSpec, strange: set[str], history: list[Former]
) -> None:
    """It stays as it is, nothing is done beside it, the node says so; and once it is gone, all goes on."""
    desired = all_children(spec)
    world = PlanWorld.after(history)
    for kind, manifest in desired.items():
        made = stranger if kind in strange else child
        found = data.draw(made(manifest, (*ANY_CHILD, *HARMS[kind])), label=kind)
        if found is not None:
            world.objects[kind] = found
    before = copy.deepcopy(world)
    world.converge(spec)
    assert world == before
    verdict = judge(spec, world.observe())
    assert (verdict.reason, verdict.is_stalled) == ("NameTaken", True)
    for kind in HARMS:
        assert (kind in verdict.message) == (kind in strange)
    for kind in strange:
        del world.objects[kind]
    world.converge(spec)
    assert world.objects.keys() == desired.keys()
    assert judge(spec, world.observe()).reason != "NameTaken"


@given(spec=SPECS)
@settings(max_examples=50)
def test_a_plan_is_a_function_of_what_it_sees(spec: MeshNodeSpec) -> None:
    """Same input, same plan; and nothing that it was given has changed."""
    world = PlanWorld()
    before = copy.deepcopy(world.objects)
    assert plan(spec, world.observe(), FRAME) == plan(spec, world.observe(), FRAME)
    assert world.objects == before


def made(**spec: Any) -> MeshNodeSpec:
    found = read_spec("a", {"currency": "USD", **spec})
    assert isinstance(found, MeshNodeSpec)
    return found


def test_what_others_added_stays_theirs() -> None:
    """No fight with an autoscaler's annotation, a mesh's sidecar or a person's label."""
    desired = manifests.deployment(OWNER, made(), FRAME)
    present = copy.deepcopy(dict(desired))
    present["metadata"]["labels"]["team"] = "blue"
    present["spec"]["template"]["spec"]["containers"].append({"name": "sidecar"})
    assert is_covered(desired, present)
    present["spec"]["replicas"] = 2
    assert not is_covered(desired, present)


def test_another_secret_to_pull_with_reaches_a_node_that_is_there() -> None:
    """Its pod may be waiting for an image just for want of it."""
    world = PlanWorld()
    world.converge(made())
    frame = replace(FRAME, image_pull_secrets=("registry",))
    [action] = plan(made(), world.observe(), frame).actions
    assert isinstance(action, Apply)
    pod = action.manifest["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    world.carry_out(action)
    assert plan(made(), world.observe(), frame).actions == ()
    for names in (("other",), ("other", "registry"), ()):
        other = replace(frame, image_pull_secrets=names)
        assert plan(made(), world.observe(), other).actions != (), names


def test_a_limit_that_was_taken_away_is_taken_from_a_node_that_is_there() -> None:
    """What is merely there beside what is desired might be somebody else's."""
    world = PlanWorld()
    world.converge(made())
    frame = replace(FRAME, resources={"requests": FRAME.resources["requests"]})
    [action] = plan(made(), world.observe(), frame).actions
    assert isinstance(action, Apply)
    [container] = action.manifest["spec"]["template"]["spec"]["containers"]
    assert "limits" not in container["resources"]
    world.carry_out(action)
    assert plan(made(), world.observe(), frame).actions == ()


@pytest.mark.parametrize(
    "spec", [made(paused=True), InvalidSpec("no sense")], ids=["paused", "invalid"]
)
def test_paused_and_invalid_plan_nothing(spec: MeshNodeSpec | InvalidSpec) -> None:
    assert plan(spec, PlanWorld().observe(), FRAME).actions == ()


def test_without_a_ca_no_certificate_and_no_pod_is_made() -> None:
    """A pod would only wait for the Secret that it mounts."""
    observed = replace(
        PlanWorld().observe(), certificate=CertificateFacts("", "there is no CA", 0.0, None)
    )
    kinds = [
        action.manifest["kind"]
        for action in plan(made(), observed, FRAME).actions
        if isinstance(action, Apply)
    ]
    assert kinds == ["Service"]
    assert judge(made(), observed).reason == "WaitingForCertificate"


def test_nothing_is_registered_while_the_ledger_is_silent() -> None:
    world = PlanWorld()
    for action in plan(made(), world.observe(), FRAME).actions:
        world.carry_out(action)
    observed = world.observe()
    silent = replace(observed, ledger=replace(observed.ledger, answers=False, problem="down"))
    assert plan(made(), silent, FRAME).actions == ()
    world.objects["Deployment"]["status"] = dict(AVAILABLE)
    served = replace(silent, deployment=world.objects["Deployment"])
    assert judge(made(), served).reason == "WaitingForLedger"


def test_a_certificate_is_looked_at_again_when_it_is_due() -> None:
    world = PlanWorld()
    world.converge(made())
    again_s = plan(made(), world.observe(), FRAME).again_s
    assert again_s == pytest.approx(LIFETIME_S * 2 / 3, abs=2)
