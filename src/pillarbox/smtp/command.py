"""Command lines, and the last gate before the wire: nothing here can become two commands."""

from __future__ import annotations

import re

from pillarbox.base.errors import Invalid
from pillarbox.mail.address import Address

MAX_COMMAND = 512  # octets with CRLF, RFC 5321 §4.5.3.1.4; extensions make MAIL and RCPT longer

_PRINTABLE_UTF8 = re.compile(r"[\x20-\x7e\u00a1-\u2027\u202a-\ud7ff\ue000-\U0010ffff]+")


def command(text: str, *, utf8: bool = False) -> bytes:
    """
    The line with its CRLF. Raises Invalid for anything but printable ASCII.

    utf8 is for after `MAIL … SMTPUTF8` was agreed (RFC 6531 §3.4), and allows UTF-8 as well.
    """
    is_ascii = text.isascii() and text.isprintable() and text != ""
    if not is_ascii and not (utf8 and _PRINTABLE_UTF8.fullmatch(text)):
        raise Invalid("an SMTP command must not contain control or unexpected characters")
    return text.encode() + b"\r\n"


def path(address: Address | None) -> str:
    """RFC 5321 §4.1.2; None is the null path."""
    return f"<{address}>" if address else "<>"
