"""The fields of a message as HTTP callers write them, and the submission they make."""

from __future__ import annotations

import binascii
import hashlib
import json
import mimetypes
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pillarbox.accept.submission import Submission
from pillarbox.access.principal import Principal
from pillarbox.base.errors import Invalid, Rejected
from pillarbox.base.json_type import type_name
from pillarbox.inlets.http.body import Parsed
from pillarbox.inlets.http.reading.fields import (
    FLAG,
    NAME,
    TEXT,
    Field,
    Json,
    Partly,
    Read,
    each_of,
    object_of,
    read_fields,
    read_flag,
    read_name,
    read_object,
    read_text,
)
from pillarbox.mail.attachment import Attachment
from pillarbox.mail.draft import Calendar, ListUnsubscribe, Priority
from pillarbox.mail.header import Header, pointer
from pillarbox.mail.mailbox import Mailbox
from pillarbox.queue.message import Idempotency
from pillarbox.queue.streams import STREAMS

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_YEARS = range(1970, 3000)
_KEY = re.compile(r"[!-~]{1,255}")
_SLICE = 65_536  # characters hashed at a time
_STAND_IN = Mailbox.parse("nobody@invalid")  # for an address that could not be read
SCOPE = "POST /v1/messages"  # of idempotency keys, after who uses them
_DRAFT = {  # JSON name → argument of Draft
    "from": "from_",
    "sender": "sender",
    "reply_to": "reply_to",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "subject": "subject",
    "text": "text",
    "html": "html",
    "attachments": "attachments",
    "headers": "headers",
    "list_unsubscribe": "list_unsubscribe",
    "priority": "priority",
    "calendar": "calendar",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants: a submission, taken or only shown."""

    submission: Submission
    dry_run: bool


def read_message(parsed: Parsed, principal: Principal, idempotency_key: str | None) -> Ask:
    """Never raises for a field: faults travel in the submission, for accept to tell of."""
    given = None
    if idempotency_key is not None:
        given = GivenKey(f"{principal} {SCOPE}", idempotency_key, "Idempotency-Key")
    found = read_fields(parsed.fields, MESSAGE)
    submission = submission_of(parsed, found, principal, given)
    return Ask(submission, found.values.get("dry_run", False))


@dataclass(frozen=True, slots=True)
class GivenKey:
    """An idempotency key as it was written, where, and in which scope it is unique."""

    scope: str
    text: str
    field: str


def submission_of(
    parsed: Parsed, found: Read, principal: Principal, given: GivenKey | None
) -> Submission:
    """What was read, as accept takes it, with every fault."""
    values = found.values
    faults = [*parsed.faults, *found.faults]
    idempotency = None
    if given is not None:
        try:
            idempotency = Idempotency(
                given.scope, read_key(given.text, given.field), fingerprint(parsed.fields)
            )
        except Invalid as fault:
            faults.append(fault)
    draft = {_DRAFT[name]: value for name, value in values.items() if name in _DRAFT}
    return Submission(
        principal=principal,
        inlet="http",
        draft=_completed(draft, faults, found.partial) if faults else draft,
        relay=values.get("relay"),
        stream=values.get("stream", "transactional"),
        send_at=values.get("send_at"),
        expires_at=values.get("expires_at"),
        tags=values.get("tags", ()),
        metadata=values.get("metadata", {}),
        idempotency=idempotency,
        faults=tuple(faults),
    )


def read_key(text: str, field: str = "Idempotency-Key") -> str:
    """
    The key of an Idempotency-Key header, as a structured-field string (RFC 9651 §3.3.3) or bare.
    """
    key = text.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = re.sub(r"\\(.)", r"\1", key[1:-1])
    if not _KEY.fullmatch(key):
        raise Invalid(
            "an idempotency key is 1 to 255 printable ASCII characters without blanks",
            field=field,
        )
    return key


def fingerprint(fields: Json) -> str:
    """A SHA-256 of the request that is the same however its JSON was spelled."""
    if isinstance(files := fields.get("attachments"), list):
        fields = fields | {"attachments": [_digested(each) for each in files]}
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _digested(attachment: Any) -> Any:
    """A large file stands for itself by its digest: it is not copied to be compared."""
    content = attachment.get("content") if isinstance(attachment, dict) else None
    if not isinstance(content, str) or len(content) <= _SLICE:
        return attachment
    digest = hashlib.sha256()
    for start in range(0, len(content), _SLICE):
        digest.update(content[start : start + _SLICE].encode())
    return attachment | {"content": [digest.hexdigest()]}


def _completed(draft: Json, faults: list[Invalid], partial: Json) -> Json:
    """
    Something in place of what could not be read, so that accept does not call it missing.

    Nothing of it is ever sent: a submission with faults is refused.
    """
    unread = {(fault.field or "").partition("/")[0] for fault in faults}
    if unread & {"to", "cc", "bcc"}:
        good = (*draft.get("to", ()), *partial.get("to", ()))
        draft["to"] = good or (_STAND_IN,)
    if unread & {"html", "attachments", "calendar"}:
        draft.setdefault("text", " ")
    return draft


def read_mailbox(raw: Any) -> Mailbox:
    """`Name <a@b.example>`, or an object with email and name. One, no more."""
    if isinstance(raw, str):
        return Mailbox.parse(raw)
    if not isinstance(raw, dict):
        raise Invalid(
            f"an address is a text or an object with email and name, not {type_name(raw)}"
        )
    parts = read_object(raw, _MAILBOX, ("email",))
    try:
        address = Mailbox.parse(parts["email"])
    except Invalid as fault:
        raise fault.under("email") from None
    if address.name:
        raise Invalid("this is the address alone; the name goes into name", field="email")
    try:
        return Mailbox(parts.get("name", ""), address.address)
    except Invalid as fault:
        raise fault.under("name") from None


def read_mailboxes(raw: Any) -> tuple[Mailbox, ...]:
    """One address, or a list of them."""
    return _each_mailbox(raw) if isinstance(raw, list) else (read_mailbox(raw),)


_each_mailbox = each_of(read_mailbox)


def read_attachment(raw: Any) -> Attachment:
    """A file: its octets in base64. There is no path or URL to fetch it from."""
    parts = read_object(raw, _ATTACHMENT, ("filename", "content"))
    filename = parts["filename"]
    guessed = mimetypes.guess_type(filename, strict=True)[0]
    if guessed is None or guessed.startswith(("message/", "multipart/")):
        guessed = "application/octet-stream"
    return Attachment(
        filename, parts.get("content_type") or guessed, parts["content"], parts.get("content_id")
    )


def read_octets(raw: Any) -> bytes:
    """Base64 (RFC 4648 §4); line ends in it are fine."""
    text = read_text(raw)
    try:
        if "\n" in text or "\r" in text:
            text = text.replace("\r", "").replace("\n", "")
        return binascii.a2b_base64(text, strict_mode=bool(text))
    except ValueError:  # not ASCII, or not base64
        raise Invalid("this is not base64 (RFC 4648 §4)") from None


def read_headers(raw: Any) -> tuple[Header, ...]:
    """An object of names and values."""
    if not isinstance(raw, dict):
        raise Invalid(f"headers are an object of names and values, not {type_name(raw)}")
    headers, faults = [], []
    for name, value in raw.items():
        try:
            if not isinstance(value, str):
                raise Invalid(f"a header is a text, not {type_name(value)}")
            headers.append(Header(name, value))
        except Invalid as fault:
            faults.append(Invalid(str(fault), field=pointer(name)[:100]))
    if faults:
        raise Partly(faults, tuple(headers))
    return tuple(headers)


def read_list_unsubscribe(raw: Any) -> ListUnsubscribe:
    return ListUnsubscribe(**read_object(raw, _LIST_UNSUBSCRIBE))


def read_calendar(raw: Any) -> Calendar:
    return Calendar(**read_object(raw, _CALENDAR, ("method", "content")))


def read_priority(raw: Any) -> Priority:
    words = [each.value for each in Priority]
    if not isinstance(raw, str) or raw not in words:
        raise Invalid(f"a priority is one of {', '.join(words)}")
    return Priority(raw)


def read_time(raw: Any) -> datetime:
    """A moment with its offset from UTC, RFC 3339 §5.6."""
    if isinstance(raw, str) and _TIME.fullmatch(raw) and int(raw[:4]) in _YEARS:
        try:
            moment = datetime.fromisoformat(_microseconds(raw.upper()))
            return moment.astimezone(UTC)
        except ValueError:
            pass
    raise Invalid("a time is written 2026-11-20T16:30:00Z or 2026-11-20T17:30:00+01:00")


def _microseconds(text: str) -> str:
    """Python reads at most six digits of a second."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def read_metadata(raw: Any) -> dict[str, str]:
    """An object of texts."""
    if not isinstance(raw, dict):
        raise Invalid(f"metadata is an object of texts, not {type_name(raw)}")
    faults = [
        Invalid(f"this is a text, not {type_name(value)}", field=pointer(name)[:100])
        for name, value in raw.items()
        if not isinstance(value, str)
    ]
    if faults:
        raise Rejected(faults)
    return dict(raw)


_MAILBOX = {
    "email": Field(read=read_text, schema=NAME, about="The address alone."),
    "name": Field(read=read_text, schema=TEXT, about="What a reader sees in its place."),
}
_ATTACHMENT = {
    "filename": Field(read=read_text, schema=NAME, about="As the reader saves it."),
    "content": Field(
        read=read_octets,
        schema={"type": "string", "contentEncoding": "base64"},
        about="The octets in base64. There is no path or URL: nothing is fetched.",
    ),
    "content_type": Field(
        read=read_name, schema=NAME, about="Such as image/png; left out: guessed by the name."
    ),
    "content_id": Field(
        read=read_name, schema=NAME, about="Shows it inside the HTML that names it as cid:…"
    ),
}
_LIST_UNSUBSCRIBE = {
    "mailto": Field(read=read_name, schema=NAME, about="An address that takes unsubscriptions."),
    "url": Field(read=read_name, schema=NAME, about="An https address."),
    "one_click": Field(
        read=read_flag, schema=FLAG, about="The URL takes a POST and asks nothing (RFC 8058)."
    ),
}
_CALENDAR = {
    "method": Field(read=read_name, schema=NAME, about="Such as REQUEST or CANCEL."),
    "content": Field(read=read_name, schema=NAME, about="The iCalendar object, with that METHOD."),
}
MAILBOX_SCHEMA: Json = {
    "anyOf": [{"type": "string", "minLength": 3}, object_of(_MAILBOX, ("email",))],
    "examples": ["Ann Author <ann@example.org>", {"email": "ann@example.org", "name": "Ann"}],
}
_MAILBOX_REF: Json = {"$ref": "#/components/schemas/Mailbox"}
_MAILBOXES: Json = {"anyOf": [_MAILBOX_REF, {"type": "array", "items": _MAILBOX_REF}]}
_TEXTS: Json = {"type": "object", "additionalProperties": {"type": "string"}}
MOMENT: Json = {"type": "string", "format": "date-time"}


def mailboxes(about: str) -> Field:
    return Field(read=read_mailboxes, schema=_MAILBOXES, about=about)


MESSAGE: dict[str, Field] = {
    "from": Field(
        read=read_mailbox, schema=_MAILBOX_REF, about="The author; left out: the relay's own."
    ),
    "sender": Field(
        read=read_mailbox, schema=_MAILBOX_REF, about="Who sent it, when not the author."
    ),
    "reply_to": mailboxes("Where answers go."),
    "to": mailboxes("Recipients; to, cc and bcc together are at most 50."),
    "cc": mailboxes("Further recipients, shown to all."),
    "bcc": mailboxes("Further recipients, shown to nobody."),
    "subject": Field(read=read_text, schema=TEXT, about="At most 998 characters, one line."),
    "text": Field(read=read_text, schema=TEXT, about="The body as plain text."),
    "html": Field(
        read=read_text, schema=TEXT, about="The body as HTML; without text, one is made from it."
    ),
    "attachments": Field(
        read=each_of(read_attachment),
        schema={"type": "array", "items": object_of(_ATTACHMENT, ("filename", "content"))},
        about="Files that travel with it.",
    ),
    "headers": Field(
        read=read_headers, schema=_TEXTS, about="Further header fields: X-…, List-…, References …"
    ),
    "list_unsubscribe": Field(
        read=read_list_unsubscribe,
        schema=object_of(_LIST_UNSUBSCRIBE),
        about="Where a reader's unsubscribe button leads.",
    ),
    "priority": Field(
        read=read_priority,
        schema={"enum": [each.value for each in Priority]},
        about="What readers show; it changes nothing about how it is sent.",
    ),
    "calendar": Field(
        read=read_calendar,
        schema=object_of(_CALENDAR, ("method", "content")),
        about="An invitation.",
    ),
    "relay": Field(read=read_name, schema=NAME, about="Name or id; left out: the default relay."),
    "stream": Field(
        read=read_name,
        schema={"enum": list(STREAMS)},
        about="The class of mail: how long and how often it is tried.",
    ),
    "send_at": Field(read=read_time, schema=MOMENT, about="Not before this moment."),
    "expires_at": Field(read=read_time, schema=MOMENT, about="Not after this moment."),
    "tags": Field(
        read=each_of(read_text),
        schema={"type": "array", "items": TEXT, "maxItems": 20},
        about="Words to find it by.",
    ),
    "metadata": Field(
        read=read_metadata, schema=_TEXTS, about="Your own names and values; kept, never sent."
    ),
    "dry_run": Field(
        read=read_flag, schema=FLAG, about="Only show the message as it would be sent."
    ),
}
MESSAGE_SCHEMA = object_of(MESSAGE)
