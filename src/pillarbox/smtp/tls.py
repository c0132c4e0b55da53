"""
TLS towards a relay: what we believe, what we saw, and what a failed handshake means.

Certificates are always verified: by the system's authorities, by the ones uploaded for this
relay, or by a pin that is compared before anything is said (RFC 8314 §3, RFC 9525).
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509

from pillarbox.base.errors import Invalid
from pillarbox.mail.outcome import Loss, Lost
from pillarbox.smtp import sasl
from pillarbox.smtp.endpoint import Trust

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

# X509_V_ERR_… of OpenSSL, by number because ssl does not name them.
_VERIFICATION = {
    9: (Loss.CERTIFICATE_NOT_YET_VALID, "the relay's certificate is not valid yet"),
    10: (Loss.CERTIFICATE_EXPIRED, "the relay's certificate has expired"),
    18: (Loss.CERTIFICATE_SELF_SIGNED, "the relay's certificate is self-signed"),
    19: (Loss.CERTIFICATE_UNTRUSTED, "the relay's certificate comes from an unknown authority"),
    20: (Loss.CERTIFICATE_UNTRUSTED, "the relay's certificate comes from an unknown authority"),
    21: (Loss.CERTIFICATE_UNTRUSTED, "the relay's certificate comes from an unknown authority"),
    62: (Loss.CERTIFICATE_NAME, "the relay's certificate is for another name"),
    64: (Loss.CERTIFICATE_NAME, "the relay's certificate is not for this IP address"),
}
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_OLD_TLS = frozenset(
    {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What was agreed, and the relay's certificate. sha256 is lower-case hexadecimal."""

    version: str
    cipher: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    sha256: str


@lru_cache(maxsize=256)
def context_for(trust: Trust) -> ssl.SSLContext:
    """
    The context for a Trust, made once. Raises Invalid if its PEM text cannot be used.

    With a pin ssl checks nothing, so whoever uses the context must call `mismatch` first.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS.get(trust.minimum_version, ssl.TLSVersion.TLSv1_2)
    if trust.pin is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.authorities is not None:
        _load_authorities(context, trust.authorities)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if trust.client_certificate is not None:
        _load_client_certificate(context, trust.client_certificate, sasl.private_key(trust))
    return context


def mismatch(trust: Trust, facts: TlsFacts) -> Lost | None:
    """The pin is compared before anything is said, the greeting answered or a name given."""
    if trust.pin is None or trust.pin.lower().replace(":", "") == facts.sha256:
        return None
    cause = (
        f"the relay's certificate has the fingerprint {facts.sha256}, which is not the pinned one"
    )
    return Lost(Loss.CERTIFICATE_PIN, cause)


def facts_of(connection: ssl.SSLObject) -> TlsFacts:
    """What the handshake showed."""
    der = connection.getpeercert(binary_form=True) or b""
    certificate = x509.load_der_x509_certificate(der)
    cipher = connection.cipher()
    return TlsFacts(
        version=(connection.version() or "unknown").replace("TLSv", "TLS "),
        cipher=cipher[0] if cipher else "unknown",
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc.astimezone(UTC),
        not_after=certificate.not_valid_after_utc.astimezone(UTC),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def loss_of(error: OSError) -> Lost:
    """What a handshake error means, in words for the person who set the relay up."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code) if code in _VERIFICATION:
            return Lost(*_VERIFICATION[code])
        case ssl.SSLCertVerificationError(verify_message=message):
            return Lost(
                Loss.CERTIFICATE_UNTRUSTED, f"the relay's certificate is refused: {message}"
            )
        case ssl.SSLError(reason=reason) if reason in _NOT_TLS:
            return Lost(Loss.NOT_TLS, "the server does not speak TLS on this port")
        case ssl.SSLError(reason=reason) if reason in _OLD_TLS:
            return Lost(Loss.TLS_FAILED, "the relay speaks only versions of TLS that we refuse")
        case ssl.SSLError(reason=reason):
            words = (reason or "no reason given").lower().replace("_", " ")
            return Lost(Loss.TLS_FAILED, f"the TLS handshake failed: {words}")
        case TimeoutError():
            return Lost(Loss.TIMEOUT, "the TLS handshake took too long")
        case ConnectionAbortedError():  # asyncio's word for its handshake timeout
            return Lost(Loss.TIMEOUT, "the TLS handshake took too long")
    return Lost(Loss.TLS_FAILED, "the relay closed the connection during the TLS handshake")


def _load_authorities(context: ssl.SSLContext, pem: str) -> None:
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise Invalid("this is not a certificate in PEM format", field="authorities") from None


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """ssl reads keys from files only; this one is ours alone and gone at once."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{key}\n{certificate}\n")
        file.flush()
        try:
            # Without a password OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(Path(file.name), password="")
        except (ssl.SSLError, ValueError):
            message = "the client certificate and its key do not belong together"
            raise Invalid(message, field="client_certificate") from None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names and IP addresses that the certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*names, *map(str, addresses))
