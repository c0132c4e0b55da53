"""
DKIM key records: the TXT at `selector._domainkey.domain` (RFC 6376 §3.6.1, RFC 8463).

Read as they are found, written as they are to be published.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

STRING_OCTETS = 255  # of one string of a TXT record, RFC 1035 §3.3.14


class KeyKind(Enum):
    """By the names of RFC 6376 and RFC 8463."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """
    A published key. bits is the size of an RSA key, 256 for Ed25519, None where it is revoked.

    public is what stands in `p=`, without blanks.
    """

    kind: KeyKind
    public: str
    bits: int | None
    is_testing: bool = False

    @property
    def is_revoked(self) -> bool:
        """An empty `p=`: the owner takes the key back."""
        return self.public == ""


class Unreadable(ValueError):
    """The record is no key. The message is a sentence without its full stop."""


def name_of(selector: str, domain: str) -> str:
    """Where the record stands."""
    return f"{selector}._domainkey.{domain}"


def read(text: str) -> KeyRecord:
    """Raises Unreadable."""
    tags = read_tags(text)
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        raise Unreadable("it is not a DKIM key")
    try:
        kind = KeyKind(tags.get("k", "rsa"))
    except ValueError:
        raise Unreadable(f"its kind of key, {tags['k'][:20]}, is not known") from None
    public = "".join(tags["p"].split())
    flags = [each.strip() for each in tags.get("t", "").split(":")]
    bits = _bits(kind, public) if public else None
    return KeyRecord(kind=kind, public=public, bits=bits, is_testing="y" in flags)


def read_tags(text: str) -> dict[str, str]:
    """`a=b; c=d` as RFC 6376 §3.2 has it. What stands twice or has no `=` is left out."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip(), value.strip())
    return tags


def record_for(key: RSAPublicKey | Ed25519PublicKey) -> str:
    """The text to publish for this key. An Ed25519 key stands as it is (RFC 8463 §4)."""
    if isinstance(key, RSAPublicKey):
        octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"
    octets = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(octets).decode()}"


def strings(text: str) -> tuple[str, ...]:
    """The record as the strings of a TXT: name servers take 255 octets in each."""
    return tuple(text[at : at + STRING_OCTETS] for at in range(0, len(text), STRING_OCTETS))


def _bits(kind: KeyKind, public: str) -> int:
    try:
        octets = base64.b64decode(public, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("its key is not base64") from None
    if kind is KeyKind.ED25519:
        if len(octets) != 32:
            raise Unreadable(f"an Ed25519 key has 32 octets, and this one {len(octets)}")
        return 256
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise Unreadable("its key cannot be read; a part of it may be missing") from None
    if not isinstance(key, RSAPublicKey):
        raise Unreadable("its key is not an RSA key")
    return key.key_size
