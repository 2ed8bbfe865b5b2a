"""Certificates as files that change under us: read as one consistent set, served anew without a restart."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, ConfigDict

_FILES = ("tls.crt", "tls.key", "ca.crt")


class TlsSettings(BaseModel):
    """Where this process's certificate lies, in cert-manager's shape: tls.crt, tls.key, ca.crt."""

    model_config = ConfigDict(frozen=True)

    directory: Path = Path("/var/run/plm/tls")


Version = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Material:
    """One consistent set of PEM texts. `version` differs whenever any of them does."""

    certificate: bytes
    key: bytes
    authorities: bytes
    version: Version


def read_version(tls: TlsSettings) -> Version:
    """A cheap mark of what is mounted now, without reading it."""
    return _version_of(_current_folder(tls))


def read_material(tls: TlsSettings) -> Material:
    """What is mounted now. Raises OSError when a file is missing, ValueError when no TLS can be made of them."""
    folder = _current_folder(tls)
    version = _version_of(folder)  # before they are read: what changes meanwhile is read once more
    material = Material(
        certificate=(folder / "tls.crt").read_bytes(),
        key=(folder / "tls.key").read_bytes(),
        authorities=(folder / "ca.crt").read_bytes(),
        version=version,
    )
    _check(material)
    return material


def _check(material: Material) -> None:
    # gRPC takes any bytes, and then fails every handshake: a Secret that was edited by hand would silence us.
    leaf = x509.load_pem_x509_certificate(material.certificate)
    if load_pem_private_key(material.key, None).public_key() != leaf.public_key():
        raise ValueError("the key is not the certificate's")
    x509.load_pem_x509_certificates(material.authorities)


def _current_folder(tls: TlsSettings) -> Path:
    # Kubernetes swaps the link `..data` when a Secret changes: through its target, all files are of one moment.
    return (
        (tls.directory / "..data").resolve()
        if (tls.directory / "..data").exists()
        else tls.directory
    )


def _version_of(folder: Path) -> Version:
    # Kubernetes makes a new folder for each change. Elsewhere files are written over: each one's time counts.
    return str(folder), tuple((folder / name).stat().st_mtime_ns for name in _FILES)


def server_credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    """Mutual TLS for a server: only clients of our CA; a new certificate of ours is served at once."""
    served = read_material(tls)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal served
        try:
            if read_version(tls) == served.version:
                return None
            served = read_material(tls)
        except (OSError, ValueError):
            # In the middle of a swap, or spoilt by hand: the old one is valid for a third of its life yet.
            return None
        return _configuration(served)

    # The stub forgets that None is a fetcher's way to say "unchanged".
    fetcher = cast(Callable[[], grpc.ServerCertificateConfiguration], fetch)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(served), fetcher, require_client_authentication=True
    )


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """Mutual TLS for a client. Clients cannot reload: Channels builds a new channel instead."""
    return grpc.ssl_channel_credentials(material.authorities, material.key, material.certificate)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.authorities
    )
