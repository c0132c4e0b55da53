"""Private keys that sign: made, put into words that can be sealed, and read again."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pillarbox.base.errors import Unusable
from pillarbox.base.secret import Secret

RSA_BITS = 2048  # more does not fit a DNS answer over UDP, and adds little (RFC 8301 §3.2)

SigningKey = RSAPrivateKey | Ed25519PrivateKey


def make_rsa() -> RSAPrivateKey:
    """A tenth of a second of work, or three."""
    return generate_private_key(65537, RSA_BITS)


def make_ed25519() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def to_secret(key: SigningKey) -> Secret:
    """PKCS #8 in PEM, to be sealed."""
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Secret(octets.decode())


def from_secret(secret: Secret) -> SigningKey:
    """Raises Unusable for what is no such key."""
    key = load_pem_private_key(secret.reveal().encode(), None)
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise Unusable("a stored signing key is of a kind that we do not sign with")
    return key
