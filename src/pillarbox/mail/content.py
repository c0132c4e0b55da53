"""
The octets after DATA (RFC 5322), and the gate that they pass before a socket sees them.

The gate refuses; it never repairs. A lone CR or LF that one server reads as a line end and
the next does not is how one message becomes two (SMTP smuggling).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pillarbox.base.errors import Invalid

MAX_LINE = 998  # octets without CRLF, RFC 5322 §2.1.1

_FAULTS = (
    (re.compile(rb"\x00"), "a NUL octet"),
    (re.compile(rb"\r(?!\n)"), "a carriage return without a line feed"),
    (re.compile(rb"(?<!\r)\n"), "a line feed without a carriage return"),
    (re.compile(rb"[^\r\n]{%d}" % (MAX_LINE + 1)), f"a line longer than {MAX_LINE} octets"),
)


@dataclass(frozen=True, slots=True)
class Content:
    """
    Header section, empty line, body; every line ends with CRLF. Dots are not yet doubled.

    Build one with `pass_gate`. is_eight_bit asks for 8BITMIME (RFC 6152); needs_smtputf8 is
    true when the header section itself holds UTF-8 (RFC 6532).
    """

    octets: bytes
    is_eight_bit: bool
    needs_smtputf8: bool

    @classmethod
    def pass_gate(cls, octets: bytes) -> Content:
        """Raises Invalid naming the first fault and its line. Nothing is changed, ever."""
        if not octets.endswith(b"\r\n"):
            raise Invalid("the message does not end with a line end (CRLF)", field="content")
        for pattern, name in _FAULTS:
            if match := pattern.search(octets):
                line = octets.count(b"\n", 0, match.start()) + 1
                raise Invalid(f"line {line} of the message has {name}", field="content")
        header = octets[: octets.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in octets else octets
        return cls(octets, not octets.isascii(), not header.isascii())

    @property
    def size(self) -> int:
        """Octets, as SIZE counts them (RFC 1870 §3): without the doubled dots."""
        return len(self.octets)
