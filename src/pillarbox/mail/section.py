"""
Reading the header section of a message that somebody else wrote, field by field.

Strict about what could be read in two ways (blanks before a colon, lines of blanks only),
because the next server may read it the other way.
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

from pillarbox.base.errors import Invalid
from pillarbox.mail import words
from pillarbox.mail.address import Address
from pillarbox.mail.mailbox import MAX_NAME, Mailbox

MAX_FIELDS = 1_000
MAX_MAILBOXES = 4_096  # characters of a field that is taken apart

_FIELD = re.compile(rb"([!-9;-~]+):[^\r\n]*\r\n(?:[ \t]++[^\r\n]++\r\n)*")  # RFC 5322 §2.2
_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\s]*)\?=")  # RFC 2047 §2
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[^?\s]+\?[bBqQ]\?)")
_PIECE = re.compile(
    r'"(?:[^"\\]|\\.)*+"'  # a quoted string
    r"|<(?:\"(?:[^\"\\]|\\.)*+\"|[^<>\"])*+>"  # an address in angle brackets
    r"|\((?:[^()\\]|\\.)*+\)"  # a comment
    r'|[^"<(,]++|.'
)
_ESCAPE = re.compile(r"\\(.)")


class RawField(NamedTuple):
    """A field as it stands: its name in lower case, and its lines with their CRLF."""

    name: str
    octets: bytes

    @property
    def value(self) -> str:
        """Unfolded (RFC 5322 §2.2.3), not decoded. Octets that are not UTF-8 are replaced."""
        text = self.octets.partition(b":")[2].replace(b"\r\n", b"").decode(errors="replace")
        return text.strip(" \t")


def fields_of(section: bytes) -> list[RawField]:
    """Raises Invalid naming the first line that is not a header field."""
    fields: list[RawField] = []
    position = 0
    while position < len(section):
        match = _FIELD.match(section, position)
        if match is None:
            line = section.count(b"\n", 0, position) + 1
            raise Invalid(f"line {line} of the message is not a header field", field="content")
        fields.append(RawField(match[1].decode().lower(), match[0]))
        position = match.end()
    if len(fields) > MAX_FIELDS:
        raise Invalid(f"a message has at most {MAX_FIELDS} header fields", field="content")
    return fields


def decoded(text: str) -> str:
    """Encoded words as people read them (RFC 2047 §6.2). A broken word stays as it is."""
    if "=?" in text:
        text = _WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1", text))
    return words.UNSAFE.sub("\ufffd", text)


def mailboxes_in(value: str) -> tuple[Mailbox, ...]:
    """
    The mailboxes of a From, To or Cc field (RFC 5322 §3.4), comments dropped.

    Raises Invalid when one of them is not an address. Groups are not taken.
    """
    if len(value) > MAX_MAILBOXES:
        raise Invalid(f"it is longer than {MAX_MAILBOXES} characters")
    pieces: list[list[str]] = [[]]
    for match in _PIECE.finditer(value):
        piece = match[0]
        if piece == ",":
            pieces.append([])
        elif not piece.startswith("("):
            pieces[-1].append(piece)
    return tuple(_mailbox(parts) for parts in pieces if any(part.strip() for part in parts))


def _mailbox(parts: list[str]) -> Mailbox:
    parts = [part for part in parts if part.strip()]
    if not parts[-1].startswith("<"):
        return Mailbox("", Address.parse("".join(parts).strip()))
    address = Address.parse(parts[-1][1:-1].strip())
    if any(part in ('"', "<", "(") or part.startswith("<") for part in parts[:-1]):
        raise Invalid(f"“{''.join(parts)}” is not one address with one name")
    name = " ".join(map(_unquoted, parts[:-1]))
    return Mailbox(decoded(name).replace("\t", " ")[:MAX_NAME], address)


def _unquoted(part: str) -> str:
    if part.startswith('"'):
        return _ESCAPE.sub(r"\1", part[1:-1])
    return part.strip()


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, payload = match.groups()
    try:
        if encoding in "bB":
            octets = binascii.a2b_base64(payload + "=" * (-len(payload) % 4), strict_mode=True)
        else:
            octets = binascii.a2b_qp(payload, header=True)
        return octets.decode(charset, errors="replace")
    except (ValueError, LookupError):  # not base64, or no such charset
        return match[0]
