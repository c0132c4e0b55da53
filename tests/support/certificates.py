"""A certificate authority of our own, and what it issues, as files other programs can read."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Certificates:
    """The authority to trust, and one server's key and chain in one PEM file."""

    ca_pem: Path
    server_pem: Path


def issue(folder: Path, *names: str) -> Certificates:
    """A new authority and a server certificate for the names, 127.0.0.1 and localhost."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1", *names)
    certificates = Certificates(folder / "ca.pem", folder / "server.pem")
    authority.cert_pem.write_to_path(str(certificates.ca_pem))
    server.private_key_and_cert_chain_pem.write_to_path(str(certificates.server_pem))
    return certificates


@dataclass(frozen=True, slots=True)
class Presented:
    """What a server shows, and the PEM text and fingerprint by which it could be trusted."""

    context: ssl.SSLContext
    authorities: str
    sha256: str


def present(kind: str, name: str = "localhost") -> Presented:
    """A server context whose certificate is `good`, `expired`, `not-yet`, `wrong-name`…"""
    now = datetime.now(UTC)
    day = timedelta(days=1)
    names = ("elsewhere.test",) if kind == "wrong-name" else (name,)
    authority = trustme.CA()
    issued = authority.issue_cert(
        *names,
        not_before=now + day if kind == "not-yet" else now - 30 * day,
        not_after=now - day if kind == "expired" else now + 30 * day,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if kind == "self-signed":
        leaf = _present_self_signed(context, name)
    else:
        issued.configure_cert(context)
        leaf = issued.cert_chain_pems[0].bytes()
    der = x509.load_pem_x509_certificate(leaf).public_bytes(serialization.Encoding.DER)
    return Presented(context, authority.cert_pem.bytes().decode(), hashlib.sha256(der).hexdigest())


def _present_self_signed(context: ssl.SSLContext, name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(private + pem)
        file.flush()
        context.load_cert_chain(file.name)
    return pem
