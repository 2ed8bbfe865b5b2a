"""Leaf certificates from our own CA: what they say, when they are due, how a new CA takes over. No I/O here."""

import base64
import binascii
import datetime as dt
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plmop.actions import Issue, Manifest, Names
from plmop.likeness import is_covered

# A pod whose clock lags a little must accept a certificate made this moment.
_BACKDATE = dt.timedelta(minutes=5)

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Authority:
    """The CA that signs now, and all authorities that are trusted now (PEM texts, each one certificate)."""

    certificate: x509.Certificate
    key: SigningKey
    trusted: frozenset[str]

    def is_same(self, other: "Authority") -> bool:
        """Whether both sign and trust alike."""
        return (self.certificate, self.trusted) == (other.certificate, other.trusted)

    @property
    def bundle(self) -> str:
        """All trusted authorities as one PEM text, always in the same order."""
        return "".join(sorted(self.trusted))


@dataclass(frozen=True)
class Leaf:
    """What a Secret says of its certificate."""

    names: Names
    begin_s: float
    end_s: float
    is_current: bool  # signed by the CA that signs now
    is_trusted: bool  # signed by one of the trusted authorities
    bundle: str

    @property
    def renew_at_s(self) -> float:
        """Two thirds of its life."""
        return self.begin_s + (self.end_s - self.begin_s) * 2 / 3


@dataclass(frozen=True)
class Trust:
    """Who is trusted everywhere, and since when. A new CA signs once the trust in it has reached every pod."""

    authorities: frozenset[str]
    since_s: float


class BadSecret(ValueError):
    """A Secret does not hold what it should; the message says what."""


def split_bundle(text: str) -> frozenset[str]:
    """The certificates of a PEM text, each in its canonical form. Raises BadSecret."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise BadSecret(f"ca.crt holds no PEM certificates: {error}") from error
    return frozenset(pem(certificate) for certificate in found)


def pem(certificate: x509.Certificate) -> str:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def data_of(secret: Manifest) -> dict[str, bytes]:
    """Decoded contents of a Secret. Raises BadSecret."""
    try:
        encoded: Mapping[str, str] = secret.get("data") or {}
        return {key: base64.b64decode(value, validate=True) for key, value in encoded.items()}
    except binascii.Error as error:
        raise BadSecret(f"Secret {secret['metadata']['name']}: {error}") from error


def read_authority(secret: Manifest) -> Authority:
    """The CA in Secret plm-ca. Raises BadSecret."""
    data = data_of(secret)
    try:
        certificate = x509.load_pem_x509_certificate(data["tls.crt"])
        key = serialization.load_pem_private_key(data["tls.key"], None)
    except (KeyError, ValueError, TypeError) as error:
        raise BadSecret(f"the CA's tls.crt or tls.key cannot be read: {error}") from error
    if not isinstance(key, SigningKey):
        raise BadSecret("the CA's key is neither EC, RSA nor Ed25519")
    if key.public_key() != certificate.public_key():
        raise BadSecret("the CA's tls.key does not belong to its tls.crt")
    bundle = data.get("ca.crt", b"").decode() or pem(certificate)
    return Authority(certificate, key, split_bundle(bundle) | {pem(certificate)})


def next_trust(
    declared: frozenset[str], known: Trust | None, *, now_s: float, lifetime_s: float
) -> Trust:
    """Whom to trust from now on. What plm-ca names at once; what it names no more for one more leaf lifetime."""
    if known is None:
        return Trust(declared, 0.0)
    declared = frozenset(text for text in declared if _end_s(text) > now_s)
    alive = frozenset(text for text in known.authorities if _end_s(text) > now_s)
    if not declared <= alive:
        return Trust(declared | alive, now_s)
    if alive != declared and now_s >= known.since_s + lifetime_s:
        return Trust(declared, now_s)
    return Trust(alive, known.since_s)


def _end_s(text: str) -> float:
    return x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()


def read_leaf(secret: Manifest, authority: Authority) -> Leaf:
    """The certificate in a Secret. Raises BadSecret when it holds none, or a key that does not fit."""
    data = data_of(secret)
    try:
        leaf = x509.load_pem_x509_certificate(data["tls.crt"])
        key = serialization.load_pem_private_key(data["tls.key"], None)
        names = _names_of(leaf)
    except (KeyError, ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise BadSecret(f"no certificate of ours: {error}") from error
    if key.public_key() != leaf.public_key():
        raise BadSecret("tls.key does not belong to tls.crt")
    trusted = [x509.load_pem_x509_certificate(text.encode()) for text in authority.trusted]
    return Leaf(
        names,
        (leaf.not_valid_before_utc + _BACKDATE).timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        is_current=_is_signed_by(leaf, authority.certificate),
        is_trusted=any(_is_signed_by(leaf, ca) for ca in trusted),
        bundle=data.get("ca.crt", b"").decode("utf-8", "replace"),
    )


def _is_signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names_of(leaf: x509.Certificate) -> Names:
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [spiffe] = found.get_values_for_type(x509.UniformResourceIdentifier)
    addresses = found.get_values_for_type(x509.IPAddress)
    return Names(
        spiffe,
        tuple(found.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in addresses),
    )


def why_due(leaf: Leaf | None, names: Names, *, now_s: float, settled_at_s: float) -> str:
    """Why a new certificate is to be issued now; empty when there is no reason.

    A CA that became trusted a moment ago does not sign yet, unless nothing valid is left: some pods would refuse it.
    """
    if leaf is None:
        return "there is no certificate"
    is_settled = now_s >= settled_at_s
    reasons = {
        "its names have changed": leaf.names != names,
        "it has expired": now_s >= leaf.end_s,
        "nobody trusts its CA": not leaf.is_trusted,
        "a new CA signs now": is_settled and not leaf.is_current,
        "two thirds of its life are over": is_settled and now_s >= leaf.renew_at_s,
    }
    return next((why for why, holds in reasons.items() if holds), "")


def due_at_s(leaf: Leaf, settled_at_s: float) -> float:
    """When a leaf is due by the passing of time alone: the first moment at which why_due gives a reason."""
    wish_s = leaf.renew_at_s if leaf.is_current else settled_at_s
    return min(leaf.end_s, max(wish_s, settled_at_s))


def due(
    leaf: Leaf | None,
    wanted: Issue,
    bundle: str,
    *,
    now_s: float,
    settled_at_s: float,
) -> Issue | None:
    """What is to be done about a leaf's Secret, `wanted` being how it is to be; None when it is so."""
    why = why_due(leaf, wanted.names, now_s=now_s, settled_at_s=settled_at_s)
    if why or leaf is None:
        return replace(wanted, why=why)
    return None if leaf.bundle == bundle else wanted


def restored(wanted: Issue, present: Manifest | None) -> Issue | None:
    """What is to be done when somebody took its labels or its owner away: key and certificate are fine."""
    return None if is_covered(wanted.manifest, present) else wanted


def issue(
    authority: Authority, names: Names, *, now: dt.datetime, lifetime_s: float
) -> dict[str, str]:
    """Contents of a Secret in cert-manager's shape, with a new key. Its life starts a little before now."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = x509.SubjectKeyIdentifier.from_public_key(authority.certificate.public_key())
    begin = (now - _BACKDATE).replace(microsecond=0)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names.dns[0])]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(now.replace(microsecond=0) + dt.timedelta(seconds=lifetime_s))
        .add_extension(_alternative_names(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGN_ONLY, critical=True)
        .add_extension(_BOTH_ENDS, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key),
            critical=False,
        )
        .sign(authority.key, _digest(authority.key))
    )
    return encode({"tls.crt": pem(leaf), "tls.key": _key_text(key), "ca.crt": authority.bundle})


def encode(texts: Mapping[str, str]) -> dict[str, str]:
    """Contents of a Secret as they stand in a manifest."""
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def _digest(key: SigningKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


_SIGN_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_BOTH_ENDS = x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
)


def _alternative_names(names: Names) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            *(x509.DNSName(name) for name in names.dns),
            *(x509.IPAddress(ipaddress.ip_address(text)) for text in names.addresses),
            x509.UniformResourceIdentifier(names.spiffe),
        ]
    )


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
