"""Certificates and keys as PEM text: what is in them, without trusting any of it."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from pillarbox.base.errors import Invalid


def read_certificates(pem: str) -> list[x509.Certificate]:
    """Raises Invalid when the text holds anything but certificates, or none."""
    if "PRIVATE KEY" in pem:
        raise Invalid("this has a private key in it. Enter certificates alone")
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnicodeEncodeError):
        raise Invalid("this is not a certificate in PEM (-----BEGIN CERTIFICATE-----)") from None


def describe(pem: str) -> str:
    """Who is certified, until when, and the SHA-256: what people compare certificates by."""
    return "; ".join(_describe_one(certificate) for certificate in read_certificates(pem))


def public_key_of(private_pem: str) -> bytes:
    """The public half in DER. Raises Invalid for anything but one unencrypted private key."""
    try:
        key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    except TypeError:
        raise Invalid(
            "this key has a passphrase. Take it off first: openssl pkey -in key.pem -out open.pem"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("this is not a private key in PEM (-----BEGIN PRIVATE KEY-----)") from None
    return _der(key.public_key())


def fits(certificate_pem: str, public_key: bytes | None) -> bool:
    """Whether the first certificate, which is ours, is for this key."""
    return _der(read_certificates(certificate_pem)[0].public_key()) == public_key


def _describe_one(certificate: x509.Certificate) -> str:
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    until = certificate.not_valid_after_utc.date().isoformat()
    name = certificate.subject.rfc4514_string() or "no subject"
    return f"{name} until {until} (SHA-256 {fingerprint})"


def _der(key: PublicKeyTypes) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)
