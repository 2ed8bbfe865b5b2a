"""Certificates made on purpose: of the right CA or another, of any identity, expired, or not valid yet."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


class Validity(Enum):
    """From when to when a leaf is valid, in days from now."""

    NOW = (-2, 1)
    OVER = (-2, -1)
    NOT_YET = (1, 2)


@dataclass(frozen=True)
class Authority:
    """A CA in PEM."""

    certificate: bytes
    key: bytes


def new_authority() -> Authority:
    """A CA that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody's authority")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def write_leaf(
    folder: Path,
    authority: Authority,
    names: Sequence[str],
    *,
    trusted: bytes,
    valid: Validity = Validity.NOW,
) -> Path:
    """tls.crt, tls.key and ca.crt of a process of this name, in a folder; `trusted` is the CA it trusts itself.

    `names` with a scheme are URIs, the others DNS names.
    """
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = signer.public_key()
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    start, end = (now + days * _DAY for days in valid.value)
    uris = [x509.UniformResourceIdentifier(name) for name in names if ":" in name]
    hosts = [x509.DNSName(name) for name in names if ":" not in name]
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([*uris, *hosts]), critical=True)
        .add_extension(
            # All our authorities have one name: by this, who verifies finds the right one among several.
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )
    folder.mkdir()
    (folder / "tls.crt").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(_pem(key))
    (folder / "ca.crt").write_bytes(trusted)
    return folder


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
