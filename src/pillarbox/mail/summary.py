"""
What a finished message says, for lists and viewers.

It is read with the standard library's lenient parser: whatever was accepted must be possible
to look at. Nothing here decides how a message is sent.
"""

from __future__ import annotations

import email
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value

from pillarbox.base.errors import Invalid
from pillarbox.mail import words
from pillarbox.mail.content import Content, header_section
from pillarbox.mail.draft import MAX_SUBJECT
from pillarbox.mail.mailbox import Mailbox
from pillarbox.mail.plain import readable
from pillarbox.mail.section import decoded, fields_of, mailboxes_in

MAX_SHOWN = 200_000  # characters of a text or HTML part
MAX_HEADER = 16_384  # characters of a field that are decoded
PREVIEW = 200  # characters


@dataclass(frozen=True, slots=True)
class Identity:
    """Who wrote it, about what, and its Message-ID with the angle brackets; cheap to read."""

    from_: tuple[Mailbox, ...]
    subject: str
    message_id: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment or an image, decoded; what the HTML calls `cid:…` is its content id."""

    filename: str
    content_type: str
    octets: bytes
    content_id: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Decoded for people. `from_`, `to` and `cc` are texts, because they may be malformed."""

    from_: str
    to: str
    cc: str
    subject: str
    date: str
    message_id: str | None
    text: str | None
    html: str | None
    attachments: tuple[Part, ...]

    @property
    def preview(self) -> str:
        """The beginning of what there is to read, on one line."""
        text = self.text if self.text is not None else readable(self.html or "")
        return " ".join(text[: 4 * PREVIEW].split())[:PREVIEW]


def read_identity(content: Content) -> Identity:
    """Only the header section is read. A From that cannot be read gives no mailbox."""
    values = _values(content)
    try:
        authors = mailboxes_in(values.get("from", ""))
    except Invalid:
        authors = ()
    subject = decoded(values.get("subject", "")[:MAX_HEADER])[:MAX_SUBJECT]
    return Identity(authors, subject, values.get("message-id", "")[:MAX_SUBJECT] or None)


def summarize(content: Content) -> Summary:
    """The whole message, its parts decoded. Never raises for a malformed one."""
    values = _values(content)
    text, html, attachments = _parts(content)
    return Summary(
        from_=decoded(values.get("from", "")),
        to=decoded(values.get("to", "")),
        cc=decoded(values.get("cc", "")),
        subject=decoded(values.get("subject", "")),
        date=decoded(values.get("date", "")),
        message_id=values.get("message-id"),
        text=text,
        html=html,
        attachments=attachments,
    )


def _values(content: Content) -> dict[str, str]:
    """The first field of each name, unfolded."""
    values: dict[str, str] = {}
    try:
        fields = fields_of(header_section(content.octets))
    except Invalid:
        return values
    for field in fields:
        values.setdefault(field.name, field.value)
    return values


def _parts(content: Content) -> tuple[str | None, str | None, tuple[Part, ...]]:
    text, html = None, None
    attachments: list[Part] = []
    try:
        for leaf in _leaves(email.message_from_bytes(content.octets)):
            kind = leaf.get_content_type()
            is_body = leaf.get_content_disposition() is None and leaf.get_filename() is None
            if is_body and kind == "text/plain" and text is None:
                text = _text(leaf)
            elif is_body and kind == "text/html" and html is None:
                html = _text(leaf)
            else:
                attachments.append(_attachment(leaf, kind))
    except RecursionError:  # a thousand parts within each other: show what was found
        pass
    return text, html, tuple(attachments)


def _leaves(message: Message) -> Iterator[Message]:
    """Parts that are not made of parts; an attached message is one."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _leaves(part)
    else:
        yield message


def _text(leaf: Message) -> str:
    octets = _octets(leaf)
    try:
        text = octets.decode(leaf.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # no such charset
        text = octets.decode(errors="replace")
    return text.replace("\r\n", "\n")[:MAX_SHOWN]


def _octets(leaf: Message) -> bytes:
    payload = leaf.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachment(leaf: Message, kind: str) -> Part:
    if kind == "message/rfc822":
        inner = [part for part in leaf.get_payload() if isinstance(part, Message)]
        octets = b"".join(part.as_bytes() for part in inner)
    else:
        octets = _octets(leaf)
    content_id = str(leaf.get("Content-ID") or "").strip("<> \t\r\n") or None
    return Part(_filename(leaf), kind, octets, content_id)


def _filename(leaf: Message) -> str:
    """The RFC 2231 spelling before the plain one; the library takes the plain one."""
    for name, value in leaf.get_params([], "content-disposition"):
        if name == "filename" and isinstance(value, tuple):
            return words.UNSAFE.sub("\ufffd", collapse_rfc2231_value(value).strip())
    return decoded(leaf.get_filename() or "")
