"""
From a Draft to octets: RFC 5322 and MIME (RFC 2045, 2046, 2047, 2231, 2387), written directly.

The standard library's builder takes forty times as long and folds List-Unsubscribe and
References to pieces; its *parser* is what our tests read the result with. The octets are the
same for the same draft, id and date, so that every attempt sends the same message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

from pillarbox.base.errors import Invalid
from pillarbox.mail import words
from pillarbox.mail.attachment import MESSAGE, Attachment
from pillarbox.mail.content import Content
from pillarbox.mail.draft import Calendar, Draft, ListUnsubscribe, Priority
from pillarbox.mail.fold import fold
from pillarbox.mail.mailbox import Mailbox
from pillarbox.mail.plain import readable
from pillarbox.mail.transfer import Encoded, base64_blocks, encode_text

_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,120}@[!-;=?A-~]{1,253}>")  # RFC 5322 §3.6.4, in short

_PRIORITIES = {  # X-Priority is custom, Importance is RFC 4021 §2.1.54
    Priority.HIGH: ("1 (Highest)", "high"),
    Priority.NORMAL: ("3 (Normal)", "normal"),
    Priority.LOW: ("5 (Lowest)", "low"),
}
_MANY = 16  # chunks
_NOBODY_NAMED = "undisclosed-recipients:;"  # RFC 5322 §A.1.3; a missing To looks like spam

Field = tuple[str, str]  # a name, and its folded line


class _Part(NamedTuple):
    """A MIME entity: its Content-… fields, and its body in chunks that end with CRLF."""

    fields: tuple[Field, ...]
    chunks: list[bytes]


def compose(draft: Draft, *, message_id: str, date: datetime) -> Content:
    """
    The message as every attempt will send it. Bcc is in the envelope only.

    `message_id` has its angle brackets, `date` its offset. The header section is pure ASCII
    unless a local part is not (RFC 6532). Raises Invalid for a message id that is none.
    """
    check_message_id(message_id)
    if date.tzinfo is None:
        raise ValueError("a date in a message needs its offset from UTC")
    body = _body(draft, message_id)
    fields = [*_fields(draft, message_id, date), ("MIME-Version", "MIME-Version: 1.0\r\n")]
    fields.extend(body.fields)
    head = "".join([line for _, line in fields])
    _check_names(head, fields)
    body.chunks[:0] = [head.encode(), b"\r\n"]
    return Content.pass_gate(_joined(body.chunks))


def _joined(chunks: list[bytes]) -> bytes:
    """All of them as one. Of many, each is let go when it is copied: together they are large."""
    if len(chunks) < _MANY:
        return b"".join(chunks)
    whole = BytesIO()
    chunks.reverse()
    while chunks:
        whole.write(chunks.pop())
    return whole.getvalue()


def check_message_id(message_id: str) -> None:
    """Raises Invalid unless it is `<name@domain>`, as its field spells it."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Invalid(f"“{message_id}” is not a message id: <name@domain>", field="message_id")


def _check_names(head: str, fields: Sequence[Field]) -> None:
    """The header section holds the fields we meant, in our order, and none besides."""
    starts = head.count("\r\n") - head.count("\r\n ") - head.count("\r\n\t")
    are_named = [line.startswith(f"{name}:") and line[-2:] == "\r\n" for name, line in fields]
    if starts != len(fields) or not all(are_named):
        raise Invalid("the header section did not come out as it was meant", field="headers")


def _fields(draft: Draft, message_id: str, date: datetime) -> Iterator[Field]:
    yield "Date", _date(date.replace(microsecond=0))
    yield _mailboxes("From", (draft.from_,))
    if draft.sender is not None and draft.sender.address != draft.from_.address:
        yield _mailboxes("Sender", (draft.sender,))
    for name, mailboxes in (("Reply-To", draft.reply_to), ("To", draft.to), ("Cc", draft.cc)):
        if mailboxes:
            yield _mailboxes(name, mailboxes)
    if not (draft.to or draft.cc):
        yield "To", f"To: {_NOBODY_NAMED}\r\n"
    yield "Message-ID", f"Message-ID: {message_id}\r\n"
    yield "Subject", fold("Subject", words.subject(draft.subject))
    if draft.priority is not None:
        number, word = _PRIORITIES[draft.priority]
        yield _line("X-Priority", number)
        yield _line("Importance", word)
    if draft.list_unsubscribe is not None:
        yield from _unsubscribing(draft.list_unsubscribe)
    for header in draft.headers:
        yield header.name, header.line()


@lru_cache(maxsize=16)
def _date(second: datetime) -> str:
    """Written once for all messages of a second."""
    return f"Date: {format_datetime(second)}\r\n"


def _mailboxes(name: str, mailboxes: Sequence[Mailbox]) -> Field:
    pieces = mailboxes[0].pieces()
    for mailbox in mailboxes[1:]:
        pieces[-1] += ","
        first, *rest = mailbox.pieces()
        pieces += [" " + first, *rest]
    return name, fold(name, pieces)


def _unsubscribing(unsubscribe: ListUnsubscribe) -> Iterator[Field]:
    first, *rest = unsubscribe.links
    pieces = [first + ",", *(" " + link for link in rest)] if rest else [first]
    yield "List-Unsubscribe", fold("List-Unsubscribe", pieces)
    if unsubscribe.one_click:
        line = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"  # RFC 8058 §3.1
        yield "List-Unsubscribe-Post", line


def _body(draft: Draft, message_id: str) -> _Part:
    """mixed(alternative(text, related(html, images…), calendar), files…), as far as needed."""
    inline, files = _sorted_attachments(draft)
    text, html = _text(draft), _html(draft)
    calendar = _invitation(draft.calendar) if draft.calendar is not None else None
    leaves = [part for part in (text, html, calendar, *inline, *files) if part is not None]
    stem = _boundary_stem(message_id, leaves)

    if html is not None and inline:
        html = _multipart('related; type="text/html"', f"{stem}_r", [html, *inline])
    ways = [part for part in (text, html, calendar) if part is not None]
    if len(ways) > 1:
        ways = [_multipart("alternative", f"{stem}_a", ways)]
    if files:
        return _multipart("mixed", f"{stem}_m", [*ways, *files])
    return ways[0]


def _sorted_attachments(draft: Draft) -> tuple[list[_Part], list[_Part]]:
    """Those that the HTML shows, and the others."""
    inline: list[_Part] = []
    files: list[_Part] = []
    for attachment in draft.attachments:
        is_inline = draft.html is not None and attachment.content_id is not None
        (inline if is_inline else files).append(_file(attachment, is_inline=is_inline))
    return inline, files


def _text(draft: Draft) -> _Part | None:
    """The text as given; without one, the HTML's text, unless there is nothing to read in it."""
    if draft.text is not None:
        return _leaf('text/plain; charset="utf-8"', encode_text(draft.text))
    text = readable(draft.html) if draft.html is not None else ""
    return _leaf('text/plain; charset="utf-8"', encode_text(text)) if text else None


def _html(draft: Draft) -> _Part | None:
    if draft.html is None:
        return None
    return _leaf('text/html; charset="utf-8"', encode_text(draft.html))


def _invitation(calendar: Calendar) -> _Part:
    """The method parameter is what makes it one: RFC 6047 §2.4."""
    kind = f'text/calendar; method={calendar.method.upper()}; charset="utf-8"'
    return _leaf(kind, encode_text(calendar.content))


def _leaf(kind: str, encoded: Encoded) -> _Part:
    return _Part(_leaf_fields(kind, encoded.encoding), [encoded.octets])


@lru_cache(maxsize=64)
def _leaf_fields(kind: str, encoding: str) -> tuple[Field, ...]:
    """There are as many as there are kinds of text and ways to encode it."""
    return _line("Content-Type", kind), _encoding(encoding)


def _file(attachment: Attachment, *, is_inline: bool) -> _Part:
    charset = attachment.charset
    kind = f'{attachment.media_type}; charset="{charset}"' if charset else attachment.media_type
    disposition = words.parameterized(
        "inline" if is_inline else "attachment", ("filename", attachment.filename)
    )
    fields = [
        _line("Content-Type", kind),
        ("Content-Disposition", fold("Content-Disposition", disposition)),
    ]
    if attachment.content_id is not None:
        fields.append(_line("Content-ID", f"<{attachment.content_id}>"))
    if attachment.media_type == MESSAGE:
        return _Part((*fields, _encoding("7bit")), [attachment.content])
    return _Part((*fields, _encoding("base64")), base64_blocks(attachment.content))


def _line(name: str, value: str) -> Field:
    return name, f"{name}: {value}\r\n"


def _encoding(encoding: str) -> Field:
    return _line("Content-Transfer-Encoding", encoding)


def _multipart(subtype: str, boundary: str, parts: Sequence[_Part]) -> _Part:
    """The CRLF before a boundary belongs to the boundary (RFC 2046 §5.1.1): none is lost."""
    chunks = []
    delimiter = f"--{boundary}\r\n"
    for part in parts:
        fields = "".join([line for _, line in part.fields])
        chunks.append(f"{delimiter}{fields}\r\n".encode())
        chunks += part.chunks
        delimiter = f"\r\n--{boundary}\r\n"
    chunks.append(f"\r\n--{boundary}--\r\n".encode())
    kind = f'multipart/{subtype};\r\n boundary="{boundary}"'
    return _Part((_line("Content-Type", kind),), chunks)


def _boundary_stem(message_id: str, leaves: Sequence[_Part]) -> str:
    """
    What the boundaries of this message begin with; in none of its leaves.

    `=_` occurs in neither base64 nor quoted-printable (RFC 2045 §6.7). The last letter keeps
    one boundary from being the beginning of another.
    """
    for salt in range(1_000):
        digest = hashlib.blake2b(f"{message_id}{salt}".encode(), digest_size=12).hexdigest()
        stem = f"=_{digest}"
        if not _occurs(stem.encode(), leaves):
            return stem
    raise Invalid("no boundary could be found that its parts do not contain", field="attachments")


def _occurs(octets: bytes, leaves: Sequence[_Part]) -> bool:
    for part in leaves:  # a loop, because most leaves have one chunk
        for chunk in part.chunks:
            if octets in chunk:
                return True
    return False
