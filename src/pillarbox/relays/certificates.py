"""Certificates and keys as PEM text: what is in them, and why they cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from pillarbox.base.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """
    What a person wants to know of a certificate.

    subject and issuer as in RFC 4514, names are those of the subject alternative name. key is
    such as `RSA 2048` or `EC secp256r1`; sha256 is lower-case hexadecimal.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key: str
    sha256: str
    is_authority: bool
    is_self_signed: bool

    def days_left(self, now: datetime) -> int:
        """Whole days until it ends; negative when it has ended."""
        return (self.not_after - now) // timedelta(days=1)


def read_certificates(pem: str) -> list[x509.Certificate]:
    """Raises Invalid when the text holds anything but certificates, or none."""
    if "PRIVATE KEY" in pem:
        raise Invalid("this has a private key in it. Enter certificates alone")
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnicodeEncodeError):
        raise Invalid("this is not a certificate in PEM (-----BEGIN CERTIFICATE-----)") from None


def views(pem: str) -> tuple[View, ...]:
    """Each certificate of the text, in its order. Raises Invalid."""
    return tuple(_view(certificate) for certificate in read_certificates(pem))


def describe(pem: str) -> str:
    """Who is certified, until when, and the SHA-256: what people compare certificates by."""
    return "; ".join(
        f"{each.subject} until {each.not_after.date().isoformat()} (SHA-256 {each.sha256})"
        for each in views(pem)
    )


def refuse_no_authority(pem: str) -> None:
    """Raises Invalid when one of these may not issue certificates, so nothing would be believed."""
    for certificate in read_certificates(pem):
        if not _may_issue(certificate):
            seen = _view(certificate)
            raise Invalid(
                f"“{seen.subject}” is no authority: it may not issue certificates. Enter the"
                f" authority that issued it, or believe this one alone, with pin {seen.sha256}"
            )


def refuse_disorder(pem: str) -> None:
    """Raises Invalid unless ours comes first and then whoever issued the one before."""
    chain = read_certificates(pem)
    for place, (lower, upper) in enumerate(pairwise(chain), start=2):
        if not _issued(upper, lower):
            raise Invalid(
                f"certificate {place}, “{_name(upper.subject)}”, did not issue the one before"
                " it. Our own comes first, then whoever issued it"
            )


def ended(pem: str, now: datetime) -> str | None:
    """Which certificate of the text is over, in words, or None."""
    for seen in views(pem):
        if seen.not_after < now:
            until = seen.not_after.date().isoformat()
            return f"“{seen.subject}” ended on {until}. Enter one that is still good"
    return None


def public_key_of(private_pem: str, passphrase: str | None = None) -> tuple[bytes, str]:
    """
    The public half in DER, and the key in PEM without its passphrase.

    Raises Invalid for anything but one private key that this passphrase opens.
    """
    try:
        octets = None if passphrase is None else passphrase.encode()
        key = serialization.load_pem_private_key(private_pem.encode(), password=octets)
    except TypeError:
        raise Invalid(_about_passphrase(passphrase)) from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase is not None and "ENCRYPTED" in private_pem:
            raise Invalid("client_key_passphrase does not open this key") from None
        raise Invalid("this is not a private key in PEM (-----BEGIN PRIVATE KEY-----)") from None
    if passphrase is None:
        return _der(key.public_key()), private_pem
    opened = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _der(key.public_key()), opened.decode()


def place_of_key(certificate_pem: str, public_key: bytes | None) -> int | None:
    """Which certificate of the text is for this key, from 0; ours has to be the first."""
    keys = [_der(each.public_key()) for each in read_certificates(certificate_pem)]
    return keys.index(public_key) if public_key in keys else None


def _about_passphrase(passphrase: str | None) -> str:
    if passphrase is None:
        return (
            "this key has a passphrase. Give it as client_key_passphrase, or take it off:"
            " openssl pkey -in key.pem -out open.pem"
        )
    return "this key has no passphrase. Leave client_key_passphrase out"


def _view(certificate: x509.Certificate) -> View:
    return View(
        subject=_name(certificate.subject),
        issuer=_name(certificate.issuer),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=_key(certificate.public_key()),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        is_authority=_may_issue(certificate),
        is_self_signed=_issued(certificate, certificate),
    )


def _name(name: x509.Name) -> str:
    return name.rfc4514_string() or "no subject"


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names, addresses and mail addresses that it is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return (
        *found.get_values_for_type(x509.DNSName),
        *map(str, found.get_values_for_type(x509.IPAddress)),
        *found.get_values_for_type(x509.RFC822Name),
    )


def _key(key: PublicKeyTypes) -> str:
    match key:
        case rsa.RSAPublicKey() | dsa.DSAPublicKey():
            kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "DSA"
            return f"{kind} {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey")


def _may_issue(certificate: x509.Certificate) -> bool:
    """RFC 5280 §4.2.1.9. Old roots have no such extension; they signed themselves."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return certificate.issuer == certificate.subject
    return found.value.ca


def _issued(upper: x509.Certificate, lower: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _der(key: PublicKeyTypes) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)
