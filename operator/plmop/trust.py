"""The CA and what hangs on it: whom all trust, the certificates of services and of the operator, issuing for nodes."""

import base64
import datetime as dt
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from plm.domain import ids

from plmop import certificates, ownership
from plmop.actions import MANAGED_BY, Issue, Manifest, Names
from plmop.certificates import Authority, BadSecret, Leaf, Trust
from plmop.cluster import Cluster, ClusterError
from plmop.mirror import Mirror
from plmop.ownership import CA_SECRET
from plmop.settings import OperatorSettings

log = structlog.get_logger(__name__)

TRUST_SECRET = "plm-trust"  # noqa: S105 - the name of a Secret
_SINCE = "plm.dev/trusted-since"
_SERVICE = "plm.dev/certificate-of"
_TLS, _OPAQUE = "kubernetes.io/tls", "Opaque"
_OWN = "operator"
_LOOK_AGAIN_S = 1.0


def dns_names(service: str, namespace: str) -> tuple[str, ...]:
    """Every name under which a Service of this namespace is called."""
    return (
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    )


class TrustKeeper:
    """Reads plm-ca, keeps plm-trust and the services' Secrets, and issues leaf certificates."""

    def __init__(
        self,
        cluster: Cluster,
        mirror: Mirror,
        settings: OperatorSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._leaves: dict[str, tuple[Manifest, Authority, Leaf | None]] = {}
        self._cluster = cluster
        self._mirror = mirror
        self._settings = settings
        self._left_alone: set[str] = set()
        self._own: Leaf | None = None
        self._own_data: dict[str, str] = {}  # as in a Secret; kept in our own files alone
        self._since_s = 0.0
        self._forget_at_s = 0.0
        self.authority: Authority | None = None
        self._told: Authority | None = None  # the last one of which `refresh` said that it is news
        self.problem = f"there is no Secret {CA_SECRET}"

    @property
    def settled_at_s(self) -> float:
        """From when on the CA may sign what another signed before."""
        return self._since_s + self._settings.trust_settle_s if self._since_s else 0.0

    def read_leaf(self, secret: Manifest | None) -> Leaf | None:
        """The certificate in a Secret; None when there is none, or none that anybody could use."""
        if secret is None or self.authority is None:
            return None
        name = secret["metadata"]["name"]
        read = self._leaves.get(name)
        if read is not None and read[0] is secret and read[1] is self.authority:
            return read[2]
        try:
            leaf = certificates.read_leaf(secret, self.authority)
        except BadSecret:
            leaf = None
        self._leaves[name] = (secret, self.authority, leaf)
        return leaf

    async def refresh(self) -> bool:
        """Take in plm-ca as it is now and put right all that hangs on it. Returns whether authorities changed.

        Raises ClusterError when something could not be written, after all the rest was. The news then waits until it
        is, or for the next resync.
        """
        before = self._told
        try:
            found = await self._read()
        except BadSecret as error:
            if str(error) != self.problem:
                log.warning("Found no usable CA", problem=str(error))
            self._told = self.authority = None
            self.problem = str(error)
            return before is not None
        is_news = before is None or not found.is_same(before)
        if is_news:
            self.authority, self.problem = found, ""
        self._keep_own(found)
        failures = []
        for service in self._settings.service_certificates:
            try:
                await self._keep_service(service, found)
            except ClusterError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        self._told = found
        return is_news

    def due_in_s(self) -> float | None:
        """How long nothing will be due here, if nothing happens but that time passes; None: for ever."""
        if self.authority is None:
            return None
        secrets = [
            self._mirror.get("Secret", f"{service}-tls")
            for service in self._settings.service_certificates
        ]
        leaves = [self._own, *map(self.read_leaf, secrets)]
        moments_s = [
            self._forget_at_s,
            *(
                certificates.due_at_s(leaf, self.settled_at_s)
                for leaf in leaves
                if leaf is not None
            ),
        ]
        # What was due already has been seen to, or cannot be.
        ahead_s = [moment_s - self._clock() for moment_s in moments_s if moment_s > self._clock()]
        return max(_LOOK_AGAIN_S, min(ahead_s)) if ahead_s else None

    async def _read(self) -> Authority:
        secret = self._mirror.get("Secret", CA_SECRET)
        if secret is None:
            raise BadSecret(f"there is no Secret {CA_SECRET}")
        authority = certificates.read_authority(secret)
        known = self._known_trust()
        trust = certificates.next_trust(
            authority.trusted,
            known,
            now_s=self._clock(),
            lifetime_s=self._settings.leaf_lifetime_s,
        )
        self._since_s = trust.since_s
        is_changing = trust.authorities != authority.trusted
        self._forget_at_s = trust.since_s + self._settings.leaf_lifetime_s if is_changing else 0.0
        authority = Authority(authority.certificate, authority.key, trust.authorities)
        present = self._mirror.get("Secret", TRUST_SECRET)
        if known != trust or (present is not None and ownership.hangs_on_operator(present)):
            await self._store_trust(authority, trust)
        return authority

    def _known_trust(self) -> Trust | None:
        secret = self._mirror.get("Secret", TRUST_SECRET)
        if secret is None:
            return None
        if not _is_ours(secret, _OPAQUE):
            raise BadSecret(
                f"Secret {TRUST_SECRET} is not the operator's own; delete what is in the way"
            )
        try:
            since_s = float(secret["metadata"]["annotations"][_SINCE])
            bundle = certificates.data_of(secret)["ca.crt"].decode()
            return Trust(certificates.split_bundle(bundle), since_s)
        except (BadSecret, KeyError, ValueError):
            return None  # somebody spoilt it: what plm-ca says is all that is left

    async def _store_trust(self, authority: Authority, trust: Trust) -> None:
        manifest = _secret(TRUST_SECRET, _OPAQUE, {_SINCE: repr(trust.since_s)})
        manifest["data"] = certificates.encode({"ca.crt": authority.bundle})
        self._mirror.saw("Secret", await self._cluster.apply(manifest))
        log.info("Changed whom all trust", authorities=len(trust.authorities))

    async def _keep_service(self, service: str, authority: Authority) -> None:
        name = f"{service}-tls"
        present = self._mirror.get("Secret", name)
        if present is not None and not _is_ours(present, _TLS):
            self._leave_alone(name)
            return
        self._left_alone.discard(name)
        wanted = Issue(_secret(name, _TLS, {_SERVICE: service}), self.names(service), "")
        action = certificates.due(
            self.read_leaf(present),
            wanted,
            authority.bundle,
            now_s=self._clock(),
            settled_at_s=self.settled_at_s,
        ) or certificates.restored(wanted, present)
        if action is None and present is not None and ownership.hangs_on_operator(present):
            action = wanted  # written anew without the owner that it had from us, it has none
        if action is not None:
            await self.carry_out(action)

    def _leave_alone(self, name: str) -> None:
        if name not in self._left_alone:
            self._left_alone.add(name)
            log.warning("Left alone a Secret that the operator did not make", secret=name)

    def names(self, service: str) -> Names:
        """What a service's certificate is good for. The edge is also called from outside."""
        dns = dns_names(service, self._settings.namespace)
        spiffe = ids.service_spiffe(service)
        if service == "edge":
            return Names(spiffe, (*dns, "localhost"), self._settings.edge_addresses)
        return Names(spiffe, dns)

    async def carry_out(self, action: Issue) -> None:
        """Issue a certificate, or carry the present one over under a new bundle."""
        if self.authority is None:
            return
        name = action.manifest["metadata"]["name"]
        if action.why:
            data = self._issue(self.authority, action.names)
        else:
            present = self._mirror.get("Secret", name) or {}
            data = {
                **present.get("data", {}),
                **certificates.encode({"ca.crt": self.authority.bundle}),
            }
        self._mirror.saw("Secret", await self._cluster.apply({**action.manifest, "data": data}))
        log.info("Wrote certificate Secret", secret=name, why=action.why or "the CAs changed")

    def _issue(self, authority: Authority, names: Names) -> dict[str, str]:
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        lifetime_s = self._settings.leaf_lifetime_s
        return certificates.issue(authority, names, now=now, lifetime_s=lifetime_s)

    def _keep_own(self, authority: Authority) -> None:
        data, names = self._own_data, self.names(_OWN)
        own = _own_leaf(data, authority) if data else None
        if certificates.why_due(own, names, now_s=self._clock(), settled_at_s=self.settled_at_s):
            data = self._issue(authority, names)
        else:
            # As with services: a new CA is trusted by all for a while before it signs.
            data = {**data, **certificates.encode({"ca.crt": authority.bundle})}
        if data != self._own_data:
            files = {name: base64.b64decode(text) for name, text in data.items()}
            write_files(self._settings.tls.directory, files)
        self._own_data, self._own = data, _own_leaf(data, authority)


def _secret(name: str, kind: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    # Owned by nobody: were it the operator's Deployment, deleting that would take the certificates of all services
    # away, and the memory of whom they trust in the middle of a change of CA.
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": dict(MANAGED_BY), "annotations": dict(annotations)},
        "type": kind,
    }


def _own_leaf(data: Mapping[str, str], authority: Authority) -> Leaf:
    return certificates.read_leaf({"metadata": {"name": _OWN}, "data": dict(data)}, authority)


def _is_ours(found: Manifest, kind: str) -> bool:
    return found.get("type") == kind and ownership.is_marked(found)


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Replace the files of a folder at once, the way kubelet does: readers follow the link `..data`."""
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / "..data"
    old = link.resolve() if link.is_symlink() else None
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    for name, content in files.items():
        (fresh / name).touch(mode=0o600)
        (fresh / name).write_bytes(content)
    staged = directory / "..data_new"
    staged.symlink_to(fresh.name)
    staged.replace(link)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
