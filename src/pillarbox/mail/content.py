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

# Each begins with one letter to look for, so that a long text is crossed in jumps.
_LONE_CR = re.compile(rb"\r(?!\n)")
_LONE_LF = re.compile(rb"\n(?<!\r\n)")


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
        if (fault := _first_fault(octets)) is not None:
            position, name = fault
            line = octets.count(b"\n", 0, position) + 1
            raise Invalid(f"line {line} of the message has {name}", field="content")
        is_ascii = octets.isascii()
        return cls(octets, not is_ascii, not is_ascii and not header_section(octets).isascii())

    @property
    def size(self) -> int:
        """Octets, as SIZE counts them (RFC 1870 §3): without the doubled dots."""
        return len(self.octets)


def header_section(octets: bytes) -> bytes:
    """Everything before the first empty line, with the line end of its last line."""
    if octets.startswith(b"\r\n"):
        return b""
    end = octets.find(b"\r\n\r\n")
    return octets if end < 0 else octets[: end + 2]


def long_line(octets: bytes) -> int | None:
    """
    Where the first line of more than MAX_LINE octets begins, or None. Lines end with CRLF.

    It jumps from line end to line end about a thousand octets at a time: every message
    passes here, and a pattern that looks at each line costs a hundred times as much.
    """
    start, last = 0, len(octets) - MAX_LINE
    while start < last:
        end = octets.rfind(b"\n", start, start + MAX_LINE + 2)
        if end < 0:
            return start
        start = end + 1
    return None


def _first_fault(octets: bytes) -> tuple[int, str] | None:
    if (nul := octets.find(b"\x00")) >= 0:
        return nul, "a NUL octet"
    if lone := _LONE_CR.search(octets):
        return lone.start(), "a carriage return without a line feed"
    if lone := _LONE_LF.search(octets):
        return lone.start(), "a line feed without a carriage return"
    if (start := long_line(octets)) is not None:
        return start, f"a line longer than {MAX_LINE} octets"
    return None
