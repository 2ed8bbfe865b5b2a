"""Certificates in the cluster's Secrets: which one it is, and how it comes to be due for its renewal."""

import datetime as dt
import json
import subprocess

from cryptography import x509
from plmkit.kubectl import Kubectl
from plmop import certificates

# Of its life: the operator finds it due, and everybody else finds it valid.
_AGE = 0.7


def serial_in(kubectl: Kubectl, secret: str) -> int:
    """Serial number of the certificate in a Secret."""
    [found] = kubectl.get("secret", secret)
    return _serial(certificates.data_of(dict(found)))


def age(kubectl: Kubectl, secret: str) -> int:
    """Put a certificate of the same names and CA there whose life is two thirds over. Returns its serial number."""
    [authority], [found] = kubectl.get("secret", "plm-ca"), kubectl.get("secret", secret)
    signer = certificates.read_authority(dict(authority))
    leaf = certificates.read_leaf(dict(found), signer)
    life_s = leaf.end_s - leaf.begin_s
    then = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=_AGE * life_s)
    data = certificates.issue(signer, leaf.names, now=then, lifetime_s=life_s)
    del data["ca.crt"]  # whom all trust stays as it is
    patch = json.dumps({"data": data})
    command = kubectl.command("patch", "secret", secret, "--patch", patch)
    subprocess.run(command, capture_output=True, check=True)
    return _serial(certificates.data_of({"data": data}))


def _serial(data: dict[str, bytes]) -> int:
    return x509.load_pem_x509_certificate(data["tls.crt"]).serial_number
