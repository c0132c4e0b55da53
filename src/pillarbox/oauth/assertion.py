"""
Proofs that we sign: who the client is, or whom a service account acts for (RFC 7523).

The formats are JWTs (RFC 7519). Signing is left to joserfc.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from pillarbox.base.errors import Unusable
from pillarbox.base.ids import token
from pillarbox.base.secret import Secret
from pillarbox.oauth.client import Client

_CLIENT_LIFETIME = timedelta(minutes=5)
_ACCOUNT_LIFETIME = timedelta(hours=1)  # the longest that Google takes
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

Key = RSAKey | ECKey | OKPKey


def client_assertion(client: Client, now: datetime) -> str:
    """
    private_key_jwt (RFC 7523 §2.2). With a certificate, as Microsoft wants it: its SHA-256
    thumbprint in the header, and PS256.

    Raises Unusable when the key cannot be used.
    """
    key, algorithm = _key(client.signing_key)
    header = _header(client, algorithm)
    if client.signing_certificate is not None:
        header["x5t#S256"] = thumbprint(client.signing_certificate)
        header["alg"] = "PS256" if algorithm == "RS256" else algorithm
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": client.token_url,
        "jti": token(),
    }
    return _signed(header, claims | _times(now, _CLIENT_LIFETIME), key)


def account_assertion(client: Client, now: datetime) -> str:
    """
    The assertion that is the grant itself (RFC 7523 §2.1), with Google's `scope` in it.

    Raises Unusable when the key cannot be used.
    """
    key, algorithm = _key(client.signing_key)
    claims: dict[str, Any] = {
        "iss": client.client_id,
        "aud": client.token_url,
        "scope": client.scopes,
        "jti": token(),
    }
    if client.subject is not None:
        claims["sub"] = client.subject
    return _signed(_header(client, algorithm), claims | _times(now, _ACCOUNT_LIFETIME), key)


def thumbprint(certificate: str) -> str:
    """SHA-256 of the first certificate's DER form, base64url without padding (RFC 7515 §4.1.8)."""
    first = x509.load_pem_x509_certificates(certificate.encode())[0]
    digest = first.fingerprint(hashes.SHA256())
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _header(client: Client, algorithm: str) -> dict[str, Any]:
    header: dict[str, Any] = {"alg": algorithm, "typ": "JWT"}
    return header | ({"kid": client.key_id} if client.key_id else {})


def _times(now: datetime, lifetime: timedelta) -> dict[str, int]:
    issued = int(now.timestamp())
    return {"iat": issued, "nbf": issued, "exp": issued + int(lifetime.total_seconds())}


def _signed(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def _key(pem: Secret | None) -> tuple[Key, str]:
    if pem is None:
        raise Unusable("this relay has no signing key. Enter it again")
    text = pem.reveal()
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unusable("the signing key cannot be read. Enter it again, as PEM") from None
    match key:
        case rsa.RSAPrivateKey():
            return RSAKey.import_key(text), "RS256"
        case ec.EllipticCurvePrivateKey() if key.curve.name in _CURVES:
            return ECKey.import_key(text), _CURVES[key.curve.name]
        case ed25519.Ed25519PrivateKey():
            return OKPKey.import_key(text), "EdDSA"
    raise Unusable("the signing key is of a kind that no token endpoint takes. Use RSA or P-256")
