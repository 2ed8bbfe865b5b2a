"""What a stack keeps secret, made once: the CA, passwords, and the operator's API key."""

import datetime as dt
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_TOKEN_BYTES = 32
_SALT_BYTES = 16
_CA_DAYS = 3650
_OPERATOR = "operator"
_NOBODY = json.dumps({"clients": []})
_CLOCK_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class StackSecrets:
    """`values` go encrypted into the stack's configuration; the API key's plain text only into the credentials."""

    values: dict[str, str] = field(repr=False)
    authority_certificate: str
    api_key: str = field(repr=False)


def make_authority(now: dt.datetime) -> Authority:
    """A CA that can sign leafs and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plm authority")])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Authority(
        certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
    )


@dataclass(frozen=True)
class ApiKey:
    """The operator's key, and the file by which the gateway knows it."""

    plain: str = field(repr=False)
    file: str


def make_key(known: str = _NOBODY) -> ApiKey:
    """A fresh key in place of the operator's. Every other client of the known file stays in it.

    Raises ValueError, KeyError or TypeError when that is no key file.
    """
    plain = f"plm_{secrets.token_urlsafe(_TOKEN_BYTES)}"
    others = [each for each in json.loads(known)["clients"] if each["client_id"] != _OPERATOR]
    ours = _operator(plain, secrets.token_bytes(_SALT_BYTES))
    return ApiKey(plain, json.dumps({"clients": [ours, *others]}))


def _operator(api_key: str, salt: bytes) -> dict[str, Any]:
    """One client of what the gateway reads: its key as a salted hash."""
    return {
        "client_id": _OPERATOR,
        "role": "operator",
        "salt": salt.hex(),
        "key_sha256": hashlib.sha256(salt + api_key.encode()).hexdigest(),
        "nodes": [],
    }


def make(now: dt.datetime) -> StackSecrets:
    """A fresh set. Names are those of plminfra.config.SECRETS."""
    authority = make_authority(now)
    key = make_key()
    passwords = ("postgresSuperuser", "postgresReplication", "postgresRewind", "ledger")
    values = {name: secrets.token_urlsafe(_TOKEN_BYTES) for name in passwords}
    values |= {
        "caCertificate": authority.certificate,
        "caKey": authority.key,
        "apiKeysFile": key.file,
    }
    return StackSecrets(values, authority.certificate, key.plain)
