"""Leaf certificates: accepted by whom they should be, renewed in time, carried over to a new CA without a gap."""

import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from plm.domain.ids import node_spiffe
from plmop import certificates
from plmop.actions import Issue, Manifest, Names
from plmop.certificates import Authority, BadSecret, Leaf, Trust
from support import leaves
from support.leaves import new_authority
from support.stage import ca_secret

NOW = dt.datetime.now(dt.UTC)
NOW_S = NOW.timestamp()
LIFETIME_S = 3600.0
NAMES = Names(node_spiffe("a"), ("node-a", "node-a.plm"), ("198.51.100.2",))


@pytest.fixture(scope="module")
def pair() -> leaves.Authority:
    return new_authority()


@pytest.fixture(scope="module")
def authority(pair: leaves.Authority) -> Authority:
    return certificates.read_authority(ca_secret(pair))


def secret(data: dict[str, str]) -> dict[str, object]:
    return {"metadata": {"name": "node-a-tls"}, "data": data}


def issued(authority: Authority, *, age_s: float = 0, names: Names = NAMES) -> dict[str, str]:
    made = NOW - dt.timedelta(seconds=age_s)
    return certificates.issue(authority, names, now=made, lifetime_s=LIFETIME_S)


def read(data: dict[str, str], authority: Authority) -> Leaf:
    return certificates.read_leaf(secret(data), authority)


def test_a_leaf_says_what_it_was_issued_for(authority: Authority) -> None:
    leaf = read(issued(authority), authority)
    assert leaf.names == NAMES
    assert leaf.is_current
    assert leaf.is_trusted
    assert leaf.end_s == pytest.approx(NOW_S + LIFETIME_S, abs=1)
    assert leaf.renew_at_s == pytest.approx(NOW_S + LIFETIME_S * 2 / 3, abs=2)


def test_a_leaf_is_a_small_curve_key_for_both_ends_and_signs_nothing(authority: Authority) -> None:
    data = certificates.data_of(secret(issued(authority)))
    leaf = x509.load_pem_x509_certificate(data["tls.crt"])
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.not_valid_before_utc < NOW - dt.timedelta(minutes=1), "a lagging clock takes it too"


def test_openssl_accepts_the_chain(authority: Authority, tmp_path: Path) -> None:
    """A handshake between two leaves, names checked, by the library that all our services use."""
    for name, content in certificates.data_of(secret(issued(authority))).items():
        (tmp_path / name).write_bytes(content)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    for context in (server, client):
        context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server.load_verify_locations(tmp_path / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="node-a.plm")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (ours, theirs):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    peer = theirs.getpeercert()
    assert peer is not None
    assert ("URI", node_spiffe("a")) in peer["subjectAltName"]


WHY = [
    (0, NAMES, ""),
    (LIFETIME_S * 0.6, NAMES, ""),
    (LIFETIME_S * 0.7, NAMES, "two thirds of its life are over"),
    (LIFETIME_S + 1, NAMES, "it has expired"),
    (0, Names(NAMES.spiffe, ("node-b",)), "its names have changed"),
]


@pytest.mark.parametrize(("age_s", "names", "why"), WHY)
def test_a_leaf_is_due_for_a_reason(
    authority: Authority, age_s: float, names: Names, why: str
) -> None:
    leaf = read(issued(authority, age_s=age_s), authority)
    assert certificates.why_due(leaf, names, now_s=NOW_S, settled_at_s=0) == why


def test_a_new_ca_signs_only_once_all_trust_it(pair: leaves.Authority) -> None:
    """Until then the old leaf stays, though two thirds of its life be over; expired or untrusted, it goes at once."""
    old = certificates.read_authority(ca_secret(pair))
    newer = new_authority()
    both = certificates.read_authority(ca_secret(newer, pair))
    leaf = read(issued(old, age_s=LIFETIME_S * 0.7), both)
    assert leaf.is_trusted
    assert not leaf.is_current
    settled_at_s = NOW_S + 60

    def why(found: Leaf, now_s: float) -> str:
        return certificates.why_due(found, NAMES, now_s=now_s, settled_at_s=settled_at_s)

    assert why(leaf, NOW_S) == ""
    assert why(leaf, settled_at_s) == "a new CA signs now"
    assert why(leaf, leaf.end_s) == "it has expired"
    alone = certificates.read_authority(ca_secret(newer))
    assert why(read(issued(old), alone), NOW_S) == "nobody trusts its CA"


def test_trust_in_a_ca_outlives_it_by_one_leaf_lifetime() -> None:
    """At no moment is a valid leaf signed by a CA that somebody does not trust yet, or does not trust any more."""
    old, new = (
        next(iter(certificates.read_authority(ca_secret(new_authority())).trusted)) for _ in "12"
    )

    def step(declared: str, known: Trust | None, now_s: float) -> Trust:
        return certificates.next_trust(
            frozenset({declared}), known, now_s=now_s, lifetime_s=LIFETIME_S
        )

    first = step(old, None, NOW_S)
    assert first == Trust(frozenset({old}), 0.0), "the very first CA need not settle"
    changed = step(new, first, NOW_S + 10)
    assert changed == Trust(frozenset({old, new}), NOW_S + 10)
    assert step(new, changed, NOW_S + LIFETIME_S) == changed
    assert step(new, changed, NOW_S + 10 + LIFETIME_S).authorities == frozenset({new})


def test_an_expired_ca_is_trusted_no_more() -> None:
    old, new = (
        next(iter(certificates.read_authority(ca_secret(new_authority())).trusted)) for _ in "12"
    )
    known = Trust(frozenset({old, new}), 1.0)
    later_s = NOW_S + 2 * 86_400  # these CAs live for a day
    found = certificates.next_trust(frozenset({new}), known, now_s=later_s, lifetime_s=LIFETIME_S)
    assert found.authorities == frozenset()


@pytest.mark.parametrize("is_current", [True, False], ids=["current", "former CA"])
@pytest.mark.parametrize("settled_in_s", [-1000, 100, LIFETIME_S * 0.8, 2 * LIFETIME_S])
def test_a_leaf_is_due_at_the_moment_that_is_told_and_not_before(
    pair: leaves.Authority, authority: Authority, settled_in_s: float, *, is_current: bool
) -> None:
    """Whoever sleeps until then neither sleeps too long nor wakes in vain."""
    signer = certificates.read_authority(ca_secret(new_authority(), pair))
    leaf = read(issued(authority), authority if is_current else signer)
    settled_at_s = leaf.begin_s + settled_in_s
    due_at_s = certificates.due_at_s(leaf, settled_at_s)

    def why(now_s: float) -> str:
        return certificates.why_due(leaf, NAMES, now_s=now_s, settled_at_s=settled_at_s)

    assert why(due_at_s)
    if due_at_s > leaf.begin_s:
        assert not why(due_at_s - 0.5)


def test_other_authorities_or_labels_alone_change_no_key(authority: Authority) -> None:
    """When that is all that changed, key and certificate stay: nobody has to reconnect for it."""
    leaf = read(issued(authority), authority)
    manifest: Manifest = {"metadata": {"name": "x", "labels": {"whose": "ours"}}}
    wanted = Issue(manifest, NAMES, "")

    def due(bundle: str) -> Issue | None:
        return certificates.due(leaf, wanted, bundle, now_s=NOW_S, settled_at_s=0)

    assert due(authority.bundle) is None
    assert due(authority.bundle + "more") == wanted
    assert certificates.restored(wanted, manifest) is None
    assert certificates.restored(wanted, {"metadata": {"name": "x"}}) == wanted


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("tls.key"),
        lambda data: data.pop("tls.crt"),
        lambda data: data.update({"tls.crt": "bm9uc2Vuc2U="}),
        lambda data: data.update({"tls.crt": "***"}),
    ],
    ids=["no key", "no certificate", "nonsense", "no base64"],
)
def test_a_spoilt_secret_is_named(
    authority: Authority, pair: leaves.Authority, spoil: Callable[[dict[str, str]], object]
) -> None:
    data = issued(authority)
    spoil(data)
    with pytest.raises(BadSecret):
        read(data, authority)
    ca = ca_secret(pair)
    spoil(ca["data"])
    with pytest.raises(BadSecret):
        certificates.read_authority(ca)


def test_a_ca_with_a_strange_key_is_refused(pair: leaves.Authority) -> None:
    with pytest.raises(BadSecret, match="does not belong"):
        certificates.read_authority(
            ca_secret(leaves.Authority(pair.certificate, new_authority().key))
        )
