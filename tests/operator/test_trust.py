"""The CA and what hangs on it, on a cluster kept in memory: services' certificates, our own, and a change of CA."""

import copy
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from plm.transport.tls import TlsSettings, read_material, read_version
from plmop import certificates
from plmop.certificates import Leaf
from plmop.cluster import ClusterError
from plmop.trust import write_files
from support.leaves import Authority, new_authority, write_leaf
from support.paper_cluster import PaperCluster
from support.paper_ledger import PaperLedger
from support.stage import ca_secret, mesh_node
from support.troupe import LIFETIME_S, Clock, Troupe, make_available

SETTLE_S = 150.0


@pytest.fixture
def pair() -> Authority:
    return new_authority()


@pytest.fixture
def cluster(pair: Authority) -> PaperCluster:
    made = PaperCluster()
    made.put(ca_secret(pair))
    return made


def troupe_of(cluster: PaperCluster, clock: Clock, folder: Path) -> Troupe:
    return Troupe(cluster, PaperLedger(), clock, folder / "tls")


def leaf(cluster: PaperCluster, name: str, troupe: Troupe) -> Leaf:
    found = troupe.trust.read_leaf(cluster.objects["Secret", name])
    assert found is not None
    return found


async def test_services_get_certificates_for_all_their_names(
    cluster: PaperCluster, tmp_path: Path
) -> None:
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    edge = leaf(cluster, "edge-tls", troupe)
    assert edge.names.addresses == ("198.51.100.2",)
    assert {"edge", "edge.plm.svc", "localhost"} <= set(edge.names.dns)
    ledger = leaf(cluster, "ledger-tls", troupe)
    assert ledger.names.spiffe.endswith("/service/ledger")
    assert ledger.names.addresses == ()


async def test_what_services_live_on_outlives_the_operator(
    cluster: PaperCluster, tmp_path: Path
) -> None:
    """Whatever hangs on the operator's Deployment would be deleted with it, by hand or by a replacement."""
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    for name in ("edge-tls", "ledger-tls", "plm-trust"):
        assert "ownerReferences" not in cluster.objects["Secret", name]["metadata"]


async def test_what_an_older_version_hung_on_the_operator_is_taken_down(
    cluster: PaperCluster, tmp_path: Path
) -> None:
    """Once, and with the keys and the memory that it has."""
    await troupe_of(cluster, Clock(), tmp_path).start()
    names = ("edge-tls", "ledger-tls", "plm-trust")
    before = {name: copy.deepcopy(cluster.objects["Secret", name]["data"]) for name in names}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "plm-operator", "uid": "1"}
    for name in names:
        cluster.objects["Secret", name]["metadata"]["ownerReferences"] = [owner]
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    for name in names:
        assert "ownerReferences" not in cluster.objects["Secret", name]["metadata"], name
        assert cluster.objects["Secret", name]["data"] == before[name]
    written = len(cluster.writes)
    assert not await troupe.trust.refresh()
    assert cluster.writes[written:] == []


async def test_what_is_right_is_not_written_again(cluster: PaperCluster, tmp_path: Path) -> None:
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    written = len(cluster.writes)
    assert not await troupe.trust.refresh()
    assert cluster.writes[written:] == []
    again = troupe_of(cluster, Clock(), tmp_path)
    await again.start()
    assert cluster.writes[written:] == [], "a new leader finds everything in place"


async def test_services_are_renewed_at_two_thirds(cluster: PaperCluster, tmp_path: Path) -> None:
    clock = Clock()
    troupe = troupe_of(cluster, clock, tmp_path)
    await troupe.start()
    before = leaf(cluster, "ledger-tls", troupe).end_s
    clock.now_s += LIFETIME_S * 0.6
    await troupe.trust.refresh()
    assert leaf(cluster, "ledger-tls", troupe).end_s == before
    clock.now_s += LIFETIME_S * 0.1
    await troupe.trust.refresh()
    assert leaf(cluster, "ledger-tls", troupe).end_s == pytest.approx(
        clock.now_s + LIFETIME_S, abs=1
    )


async def test_without_a_ca_it_waits_and_begins_when_there_is_one(tmp_path: Path) -> None:
    cluster = PaperCluster()
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    assert troupe.trust.authority is None
    assert "plm-ca" in troupe.trust.problem
    assert cluster.writes == []
    cluster.put(ca_secret(new_authority()))
    await troupe.look()
    assert await troupe.trust.refresh()
    assert ("Secret", "ledger-tls") in cluster.objects


async def test_a_new_ca_takes_over_in_two_steps(
    cluster: PaperCluster, pair: Authority, tmp_path: Path
) -> None:
    """First all trust both and keep their keys; once that reached every pod, the new CA signs; then the old goes."""
    clock = Clock()
    cluster.put(mesh_node("a"))
    troupe = troupe_of(cluster, clock, tmp_path)
    await troupe.start()
    await troupe.reconcile("a")
    make_available(cluster, "a")
    keys = {
        name: cluster.objects["Secret", name]["data"]["tls.key"]
        for name in ("node-a-tls", "ledger-tls")
    }
    newer = new_authority()
    cluster.put(ca_secret(newer))

    async def turn(seconds: float) -> None:
        clock.now_s += seconds
        await troupe.look()
        await troupe.trust.refresh()
        await troupe.reconcile("a")

    await turn(1)
    both = {
        certificates.pem(x509.load_pem_x509_certificate(each.certificate)) for each in (pair, newer)
    }
    for name, key in keys.items():
        assert cluster.objects["Secret", name]["data"]["tls.key"] == key, "no key changes yet"
        assert certificates.split_bundle(leaf(cluster, name, troupe).bundle) == both
    await turn(SETTLE_S)
    for name in keys:
        assert leaf(cluster, name, troupe).is_current
        assert certificates.split_bundle(leaf(cluster, name, troupe).bundle) == both
    await turn(LIFETIME_S)
    for name in keys:
        assert len(certificates.split_bundle(leaf(cluster, name, troupe).bundle)) == 1


async def test_its_own_certificate_waits_with_all_others_for_a_new_ca_to_be_trusted(
    cluster: PaperCluster, pair: Authority, tmp_path: Path
) -> None:
    """Signed at once by the new one, it would be refused by every service and node that has not heard of that yet."""
    clock, newer = Clock(), new_authority()
    troupe = troupe_of(cluster, clock, tmp_path)
    await troupe.start()
    current = tmp_path / "tls" / "..data"

    def own() -> tuple[x509.Certificate, frozenset[str]]:
        shown = x509.load_pem_x509_certificate((current / "tls.crt").read_bytes())
        return shown, certificates.split_bundle((current / "ca.crt").read_text())

    first, _ = own()
    cluster.put(ca_secret(newer))
    for passed_s, signer, trusted in ((1, pair, 2), (SETTLE_S, newer, 2), (LIFETIME_S, newer, 1)):
        clock.now_s += passed_s
        await troupe.look()
        await troupe.trust.refresh()
        shown, authorities = own()
        shown.verify_directly_issued_by(x509.load_pem_x509_certificate(signer.certificate))
        assert len(authorities) == trusted
        assert (shown == first) is (signer is pair), "a key changes with its signer, not before"


async def test_a_certificate_authority_slipped_into_a_secret_is_thrown_out(
    cluster: PaperCluster, tmp_path: Path
) -> None:
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    secret = cluster.objects["Secret", "ledger-tls"]
    stranger = certificates.encode({"ca.crt": new_authority().certificate.decode()})
    cluster.put({**secret, "data": {**secret["data"], **stranger}})
    await troupe.look()
    await troupe.trust.refresh()
    assert troupe.trust.authority is not None
    assert leaf(cluster, "ledger-tls", troupe).bundle == troupe.trust.authority.bundle


def foreign(name: str, kind: str = "kubernetes.io/tls") -> dict[str, Any]:
    data = {"tls.crt": "dGhlaXJz", "tls.key": "dGhlaXJz"}
    return {"kind": "Secret", "metadata": {"name": name}, "type": kind, "data": data}


@pytest.mark.parametrize("name", ["edge-tls", "ledger-tls"])
async def test_a_secret_that_others_made_is_left_alone_and_the_rest_goes_on(
    cluster: PaperCluster, tmp_path: Path, name: str
) -> None:
    """Somebody's own certificate for the edge, say. Once it is gone there is one of ours."""
    theirs = cluster.put(foreign(name))
    before = copy.deepcopy(theirs)
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    assert cluster.objects["Secret", name] == before
    other = {"edge-tls": "ledger-tls", "ledger-tls": "edge-tls"}[name]
    assert leaf(cluster, other, troupe).is_trusted
    assert (tmp_path / "tls" / "..data" / "tls.crt").exists(), "the operator has its own"
    del cluster.objects["Secret", name]
    await troupe.look()
    await troupe.trust.refresh()
    assert leaf(cluster, name, troupe).is_trusted


async def test_one_secret_that_cannot_be_written_costs_no_other_its_renewal(
    cluster: PaperCluster, tmp_path: Path
) -> None:
    """The nodes' news waits until all is written, or for the next resync."""

    def refuse(what: str) -> None:
        if what == "apply Secret ledger-tls":
            raise ClusterError("writing Secret ledger-tls", 403, "a webhook said no")

    cluster.before_write = refuse
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.look()
    for _ in range(2):
        with pytest.raises(ClusterError, match="a webhook said no"):
            await troupe.trust.refresh()
    assert leaf(cluster, "edge-tls", troupe).is_trusted
    assert (tmp_path / "tls" / "..data" / "tls.crt").exists(), "the operator has its own"
    cluster.before_write = lambda _: None
    assert await troupe.trust.refresh()
    assert leaf(cluster, "ledger-tls", troupe).is_trusted
    assert not await troupe.trust.refresh()


async def test_a_memory_of_trust_that_others_made_stops_all_issuing(
    cluster: PaperCluster, tmp_path: Path
) -> None:
    """Nobody would know any more whom all trust. The nodes say what is in the way."""
    theirs = cluster.put(foreign("plm-trust", "Opaque"))
    before = copy.deepcopy(theirs)
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    assert cluster.objects["Secret", "plm-trust"] == before
    assert cluster.writes == []
    assert "plm-trust is not the operator's own" in troupe.trust.problem


@pytest.mark.parametrize("lost", ["labels", "annotations"])
async def test_a_service_s_secret_that_lost_one_mark_is_still_ours(
    cluster: PaperCluster, tmp_path: Path, lost: str
) -> None:
    """The mark comes back; key and certificate stay."""
    troupe = troupe_of(cluster, Clock(), tmp_path)
    await troupe.start()
    before = copy.deepcopy(cluster.objects["Secret", "ledger-tls"])
    del cluster.objects["Secret", "ledger-tls"]["metadata"][lost]
    cluster.put(cluster.objects["Secret", "ledger-tls"])
    await troupe.look()
    await troupe.trust.refresh()
    found = cluster.objects["Secret", "ledger-tls"]
    assert found["metadata"][lost] == before["metadata"][lost]
    assert found["data"] == before["data"]


def test_files_change_all_at_once_and_nobody_else_reads_them(tmp_path: Path) -> None:
    """Readers see one set or the other, never half of each, and are told by a new version."""
    folder = tmp_path / "tls"
    tls = TlsSettings(directory=folder)
    authority = new_authority()
    for name in ("first", "second"):
        before = read_version(tls) if (folder / "..data").exists() else None
        made = write_leaf(tmp_path / name, authority, [name], trusted=authority.certificate)
        files = {path.name: path.read_bytes() for path in made.iterdir()}
        write_files(folder, files)
        material = read_material(tls)
        assert material.certificate == files["tls.crt"]
        assert material.key == files["tls.key"]
        assert material.authorities == files["ca.crt"]
        assert material.version != before
    key = (folder / "..data" / "tls.key").stat()
    assert stat.S_IMODE(key.st_mode) == 0o600
    assert len(list(folder.iterdir())) == 2, "the link and the one folder that it points to"
