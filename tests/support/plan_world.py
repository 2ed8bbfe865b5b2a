"""What a plan acts on, in memory: the children of one MeshNode, and the ledger's real decisions."""

import copy
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from plm.domain.books import Books
from plm.domain.deciding import decide
from plm.domain.errors import PlmError, Refused
from plm.domain.orders import DisableOrder, LinkOrder, NodeOrder
from plm.domain.registering import links_of
from plmop import certificates
from plmop.actions import (
    Action,
    Apply,
    AskHealth,
    Delete,
    Issue,
    Refusal,
    RegisterLink,
    RegisterNode,
)
from plmop.certificates import BadSecret, Leaf
from plmop.mesh_node.plan import CertificateFacts, Health, LedgerFacts, Observed, plan
from plmop.mesh_node.spec import MeshNodeSpec
from support.harms import CURRENT, NOW, OWNER, STRANGE, issue
from support.troupe import FRAME

Manifest = dict[str, Any]

ROUNDS_MAX = 12

# What the ledger may have been told before.
Former = NodeOrder | LinkOrder | DisableOrder


@dataclass
class PlanWorld:
    """What a plan acts on, in memory; the ledger's decisions are the real ones."""

    objects: dict[str, Manifest] = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    health: Health | None = None
    refusals: list[Refusal] = field(default_factory=list)

    @classmethod
    def after(cls, history: Iterable[Former]) -> "PlanWorld":
        """A world whose ledger was asked all this, and took what it could."""
        world = cls()
        for order in history:
            with suppress(PlmError):
                decide(world.books, order, 0)
        return world

    def converge(self, spec: MeshNodeSpec) -> None:
        """Plan and carry out, until nothing is planned or it takes too long."""
        for _ in range(ROUNDS_MAX):
            planned = plan(spec, self.observe(), FRAME)
            for action in planned.actions:
                self.carry_out(action)
            if not planned.actions:
                return

    def observe(self) -> Observed:
        """Everything a decision needs."""
        secret = self.objects.get("Secret")
        record = self.books.nodes.get("a")
        links = tuple(links_of(self.books, "a"))
        return Observed(
            owner=OWNER,
            deployment=self.objects.get("Deployment"),
            service=self.objects.get("Service"),
            secret=secret,
            certificate=CertificateFacts(CURRENT.bundle, "", 0.0, read_leaf(secret)),
            ledger=LedgerFacts(
                answers=True,
                problem="",
                node=None if record is None else replace(record, links=links),
                peers=frozenset(name for name, node in self.books.nodes.items() if node.enabled),
                refusals=tuple(self.refusals),
            ),
            health=self.health,
            now_s=NOW.timestamp(),
        )

    def carry_out(self, action: Action) -> None:
        """What cluster, ledger and node would do."""
        match action:
            case Apply(manifest):
                self._apply(dict(manifest))
            case Delete(kind, _, uid):
                self._check_ours(kind)
                assert self.objects[kind]["metadata"]["uid"] == uid
                del self.objects[kind]
            case Issue(manifest, names, why):
                data = issue(CURRENT, names) if why else self.objects["Secret"]["data"]
                bundle = certificates.encode({"ca.crt": CURRENT.bundle})
                self._apply({**manifest, "data": {**data, **bundle}})
            case RegisterNode(order) | RegisterLink(order):
                self._register(order)
            case AskHealth(_, incarnation):
                self.health = Health(incarnation, is_serving=True)

    def _register(self, order: NodeOrder | LinkOrder) -> None:
        try:
            decide(self.books, order, 0)
        except Refused as error:
            self.refusals.append(Refusal(order, error.code, error.detail))

    def _check_ours(self, kind: str) -> None:
        annotations = self.objects.get(kind, {"metadata": {}})["metadata"].get("annotations") or {}
        assert STRANGE not in annotations, f"{kind} is somebody else's"

    def _apply(self, manifest: Manifest) -> None:
        self._check_ours(manifest["kind"])
        known = self.objects.get(manifest["kind"], {"metadata": {"uid": "uid-new"}})
        if manifest["kind"] == "Deployment" and "spec" in known:
            # The API server refuses any other.
            assert known["spec"]["selector"] == manifest["spec"]["selector"]
        if manifest["kind"] == "Secret" and "type" in known:
            assert known["type"] == manifest["type"]
        fresh = copy.deepcopy(manifest)
        fresh["metadata"] = {**known["metadata"], **fresh["metadata"], "generation": 1}
        if "status" in known:
            fresh["status"] = known["status"]
        self.objects[manifest["kind"]] = fresh


def read_leaf(secret: Manifest | None) -> Leaf | None:
    """The certificate in a Secret, if it is one."""
    if secret is None:
        return None
    try:
        return certificates.read_leaf(secret, CURRENT)
    except BadSecret:
        return None
