"""
What a submission server adds to a message that a program wrote itself, RFC 6409 §8.

Date and Message-ID when they are missing; Bcc goes. Every other octet stays, also the order
of the fields, so that a signature made before still holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.mail.compose import check_message_id
from pillarbox.mail.content import Content, header_section
from pillarbox.mail.section import RawField, fields_of, mailboxes_in

_AT_MOST_ONCE = {  # RFC 5322 §3.6 and RFC 2045 §3, in lower case; servers refuse mail with two
    "from": "From",
    "sender": "Sender",
    "reply-to": "Reply-To",
    "to": "To",
    "cc": "Cc",
    "date": "Date",
    "message-id": "Message-ID",
    "in-reply-to": "In-Reply-To",
    "references": "References",
    "subject": "Subject",
    "mime-version": "MIME-Version",
    "content-type": "Content-Type",
    "content-transfer-encoding": "Content-Transfer-Encoding",
}
_REMOVED = frozenset({"bcc", "resent-bcc"})


def complete(octets: bytes, *, message_id: str, date: datetime) -> Content:
    """
    The content to relay. Raises Invalid at the gate, Rejected with every fault of the header.

    `message_id` has its angle brackets; it is used when the message has none of its own.
    """
    check_message_id(message_id)
    content = Content.pass_gate(octets)
    section = header_section(octets)
    try:
        fields = fields_of(section)
    except Invalid as fault:
        raise Rejected([fault]) from None
    if problems := list(_problems(section, fields)):
        raise Rejected(problems)

    names = {field.name for field in fields}
    added = [] if "date" in names else [f"Date: {format_datetime(date)}\r\n".encode()]
    if "message-id" not in names:
        added.append(f"Message-ID: {message_id}\r\n".encode())
    if not added and names.isdisjoint(_REMOVED):
        return content
    kept = [field.octets for field in fields if field.name not in _REMOVED]
    return Content.pass_gate(b"".join([*kept, *added, octets[len(section) :]]))


def _problems(section: bytes, fields: list[RawField]) -> Iterator[Invalid]:
    if not _is_utf8(section):
        yield Invalid("the header has octets that are neither ASCII nor UTF-8", field="content")
    counts = Counter(field.name for field in fields)
    for name, spelling in _AT_MOST_ONCE.items():
        if counts[name] > 1:
            yield Invalid(f"the message has {counts[name]} {spelling} fields", field="content")
    authors = [field for field in fields if field.name == "from"]
    if not authors:
        yield Invalid("the message has no From field", field="content")
    if len(authors) == 1:
        yield from _author_problems(authors[0])


def _author_problems(author: RawField) -> Iterator[Invalid]:
    """One address: whose right to send is checked must be who readers see."""
    try:
        mailboxes = mailboxes_in(author.value)
    except Invalid as fault:
        yield Invalid(f"the From field cannot be read: {fault}", field="content")
        return
    if len(mailboxes) != 1:
        yield Invalid(
            f"the From field has {len(mailboxes)} addresses; it needs exactly one", field="content"
        )


def _is_utf8(section: bytes) -> bool:
    if section.isascii():
        return True
    try:
        section.decode()
    except UnicodeDecodeError:
        return False
    return True
