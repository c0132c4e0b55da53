"""A message that is sent a second time on purpose: the same words, as a new message."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime

from pillarbox.mail.compose import check_message_id
from pillarbox.mail.content import Content, header_section
from pillarbox.mail.section import fields_of


def renewed(octets: bytes, *, message_id: str, date: datetime) -> Content:
    """
    The message with another Message-ID and Date; every other octet stays.

    Two messages must not share a Message-ID (RFC 5322 §3.6.4): a server that has seen the
    first would drop the second as a copy. Raises Invalid when the header section cannot be
    read or the id is none.
    """
    check_message_id(message_id)
    section = header_section(octets)
    fresh = {
        "date": f"Date: {format_datetime(date)}\r\n".encode(),
        "message-id": f"Message-ID: {message_id}\r\n".encode(),
    }
    lines, seen = [], set()
    for field in fields_of(section):
        if field.name == "dkim-signature":
            continue  # it was made for the old Date, and proves nothing any more
        if field.name not in fresh:
            lines.append(field.octets)
        elif field.name not in seen:
            lines.append(fresh[field.name])
            seen.add(field.name)
    missing = [line for name, line in fresh.items() if name not in seen]
    rest = memoryview(octets)[len(section) :]  # not a copy: it may be twenty megabytes
    return Content.pass_gate(b"".join([*missing, *lines, rest]))
