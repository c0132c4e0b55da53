"""
Content-Transfer-Encodings (RFC 2045 §6): what a part looks like so that every relay takes it.

8bit is never used: a relay without 8BITMIME would make the same octets undeliverable there.
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

from pillarbox.mail.content import long_line

_SEVEN_BIT = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_HIGH = bytes(range(0x80, 0x100))
_LINE = 76  # characters of base64, RFC 2045 §6.8
_BLOCK = 57 * 16_384
"""
Octets encoded at a time, so that a large file is not held three times. What is more than a
megabyte goes back to the system when it is let go: see base/memory.py.
"""


class Encoded(NamedTuple):
    """The name of the encoding, and the octets; they end with CRLF unless they are empty."""

    encoding: str
    octets: bytes


def encode_text(text: str) -> Encoded:
    """
    As it is when it is ASCII in short lines; else quoted-printable, or base64 when shorter.

    Lines end with CRLF afterwards, whatever they ended with before, also the last one.
    """
    octets = canonical(text).encode()
    if octets.isascii() and not octets.translate(None, _SEVEN_BIT) and long_line(octets) is None:
        return Encoded("7bit", octets)
    high = len(octets) - len(octets.translate(None, _HIGH))
    if high * 6 > len(octets):  # three octets for each against a third more for all
        return Encoded("base64", base64_lines(octets))
    return Encoded("quoted-printable", binascii.b2a_qp(octets, istext=True))


def canonical(text: str) -> str:
    """Every line, the last one too, ends with CRLF and with nothing else."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        text += "\n"
    return text.replace("\n", "\r\n") or "\r\n"


def base64_lines(octets: bytes) -> bytes:
    """Lines of 76 characters, each with its CRLF."""
    return b"".join(base64_blocks(octets))


def base64_blocks(octets: bytes) -> list[bytes]:
    """The same in pieces of whole lines, for who joins them with more anyway."""
    if len(octets) <= _BLOCK:
        return [_block(octets)]
    view = memoryview(octets)
    return [_block(view[start : start + _BLOCK]) for start in range(0, len(octets), _BLOCK)]


def _block(octets: bytes | memoryview) -> bytes:
    encoded = binascii.b2a_base64(octets, newline=False)
    lines = [encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE)]
    lines.append(b"")
    return b"\r\n".join(lines)
