"""
DKIM signatures (RFC 6376, with Ed25519 by RFC 8463), relaxed/relaxed.

Relaxed, because relays fold lines anew and take blanks off their ends. A signature is made
once, when a message is accepted: every attempt sends the same octets.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from pillarbox.mail.content import Content, header_section
from pillarbox.mail.section import fields_of

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

# What a reader sees and what an answer depends on (RFC 6376 §5.4.1, RFC 8058 §4).
_SIGNED = (
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to",
    "references", "mime-version", "content-type", "content-transfer-encoding", "list-id",
    "list-unsubscribe", "list-unsubscribe-post", "auto-submitted",
)  # fmt: skip

# Named once more than they stand: nobody can add another one afterwards (RFC 6376 §8.15).
_SEALED = ("from", "to", "cc", "subject", "date", "reply-to")

_BLANKS = re.compile(rb"[ \t]+")
_BEFORE_END = re.compile(rb"[ \t]+\r\n")
_LINE = 76  # characters of a folded line


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One key of a domain, at the selector where its record is published."""

    domain: str
    selector: str
    key: PrivateKey

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, octets: bytes) -> bytes:
        """RSA signs what it hashes; Ed25519 signs the hash (RFC 8463 §3)."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(octets, PKCS1v15(), SHA256())
        return self.key.sign(sha256(octets).digest())


def signed(content: Content, signers: Sequence[Signer], at: datetime) -> Content:
    """The same content under a signature of each signer; itself where there is none."""
    if not signers:
        return content
    return replace(content, octets=signatures(content.octets, signers, at) + content.octets)


def signatures(octets: bytes, signers: Sequence[Signer], at: datetime) -> bytes:
    """
    A DKIM-Signature field for each signer, to stand before the message.

    octets are the message as it is sent: lines end with CRLF, dots are not doubled.
    """
    section = header_section(octets)
    body = octets[len(section) + 2 :]
    body_hash = base64.b64encode(sha256(relaxed_body(body)).digest()).decode()
    names, fields = _chosen(section)
    return b"".join(_signature(signer, names, fields, body_hash, at) for signer in signers)


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 §3.4.4: no blanks at line ends, one for many, no empty lines at the end."""
    if b" " in body or b"\t" in body:
        body = _BLANKS.sub(b" ", _BEFORE_END.sub(b"\r\n", body))
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    if end == 0:
        return b""
    kept = body[:end].rstrip(b" \t") if body[end - 1 : end] in (b" ", b"\t") else body[:end]
    return kept + b"\r\n" if kept else b""


def relaxed_field(name: str, value: bytes) -> bytes:
    """RFC 6376 §3.4.2: one line, one blank for many, none around the colon or at the end."""
    unfolded = value.replace(b"\r\n", b"")
    return name.encode() + b":" + _BLANKS.sub(b" ", unfolded).strip(b" ") + b"\r\n"


def _chosen(section: bytes) -> tuple[str, bytes]:
    """The names for `h=`, and the canonical fields in that order: the last one of a name first."""
    standing: defaultdict[str, list[bytes]] = defaultdict(list)
    for field in fields_of(section):
        standing[field.name].append(field.octets.partition(b":")[2])
    names: list[str] = []
    canonical: list[bytes] = []
    for name in _SIGNED:
        for value in reversed(standing.get(name, ())):
            names.append(name)
            canonical.append(relaxed_field(name, value))
    names += _SEALED
    return ":".join(names), b"".join(canonical)


def _signature(signer: Signer, names: str, fields: bytes, body_hash: str, at: datetime) -> bytes:
    field = (
        f"DKIM-Signature: v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n"
        f" d={signer.domain};\r\n"
        f" s={signer.selector}; t={int(at.timestamp())};\r\n"
        f" h={_folded(names)};\r\n"
        f" bh={body_hash};\r\n"
        " b="
    ).encode()
    own = relaxed_field("dkim-signature", field.partition(b":")[2]).removesuffix(b"\r\n")
    made = base64.b64encode(signer.sign(fields + own)).decode()
    lines = [made[at : at + _LINE - 4] for at in range(0, len(made), _LINE - 4)]
    return field + "\r\n ".join(lines).encode() + b"\r\n"


def _folded(names: str) -> str:
    """A line end after a colon changes nothing (RFC 6376 §3.5): blanks there are ignored."""
    lines = [""]
    for name in names.split(":"):
        if len(lines[-1]) + len(name) > _LINE - 6:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n  ".join(lines).removesuffix(":")
