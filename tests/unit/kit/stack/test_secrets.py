"""Secrets of a stack: fresh each time, strong, and nowhere in what is printed."""

import datetime as dt
import hashlib
import json

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from plminfra.config import SECRETS
from plmkit.stack import secrets

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
PASSWORDS = ("postgresSuperuser", "postgresReplication", "postgresRewind", "ledger")
PASSWORD_LENGTH_MIN = 40


def test_every_secret_that_the_program_reads_is_made_and_no_other() -> None:
    assert set(secrets.make(NOW).values) == set(SECRETS)


def test_no_two_secrets_and_no_two_stacks_share_anything() -> None:
    one, other = secrets.make(NOW), secrets.make(NOW)
    passwords = [made.values[name] for made in (one, other) for name in PASSWORDS]
    assert len(set(passwords)) == len(passwords)
    assert min(map(len, passwords)) >= PASSWORD_LENGTH_MIN
    assert one.api_key != other.api_key
    assert {name for name in SECRETS if one.values[name] == other.values[name]} == set()


def test_nothing_secret_shows_when_one_is_printed() -> None:
    made, key = secrets.make(NOW), secrets.make_key()
    authority = secrets.make_authority(NOW)
    printed = repr([made, key, authority])
    hidden = [*(made.values[name] for name in PASSWORDS), made.api_key, key.plain, authority.key]
    assert [value for value in hidden if value in printed or value[:20] in printed] == []


def test_the_gateway_gets_a_salted_hash_of_the_key() -> None:
    key = secrets.make_key()
    [client] = json.loads(key.file)["clients"]
    assert key.plain not in key.file
    salted = bytes.fromhex(client["salt"]) + key.plain.encode()
    assert client["key_sha256"] == hashlib.sha256(salted).hexdigest()
    assert (client["client_id"], client["role"]) == ("operator", "operator")
    assert key.plain.startswith("plm_")


def test_the_authority_signs_leafs_and_no_further_authority() -> None:
    made = secrets.make_authority(NOW)
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.key_encipherment


def test_the_authority_s_key_is_its_certificate_s() -> None:
    made, other = secrets.make_authority(NOW), secrets.make_authority(NOW)
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    certificate.verify_directly_issued_by(certificate)
    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(
            x509.load_pem_x509_certificate(other.certificate.encode())
        )
    key = serialization.load_pem_private_key(made.key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.public_key()


def test_the_authority_holds_from_a_little_before_now_for_ten_years() -> None:
    """Clocks of other machines may be behind."""
    made = x509.load_pem_x509_certificate(secrets.make_authority(NOW).certificate.encode())
    assert made.not_valid_before_utc == NOW - dt.timedelta(minutes=5)
    assert made.not_valid_after_utc == NOW + dt.timedelta(days=3650)
