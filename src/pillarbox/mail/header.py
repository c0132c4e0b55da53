"""
The header fields a caller may add, as a table, and what to use instead of the others.

What a message is (who it is from and for, its parts, its path) has fields of its own and is
written by us alone. What is left is for machines and habits, and harmless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from pillarbox.base.errors import Invalid
from pillarbox.mail import words
from pillarbox.mail.content import MAX_LINE
from pillarbox.mail.fold import fold

MAX_NAME = 50  # characters; leaves room on the first line for the shortest encoded word
MAX_VALUE = 16_384  # characters

_FIELD_NAME = re.compile(r"[!-9;-~]+")  # ftext, RFC 5322 §2.2 and §3.6.8
_STRUCTURED = re.compile(r"[\t -~]+")
_IDS = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>(?:[ \t]*<[!-;=?-~]+@[!-;=?-~]+>)*")  # RFC 5322 §3.6.4


class Kind(Enum):
    """How a value is spelled: free text in any language, ASCII only, or message ids."""

    TEXT = "text"
    ASCII = "ascii"
    IDS = "ids"


_ALLOWED = {
    "archived-at": Kind.ASCII,  # RFC 5064
    "auto-submitted": Kind.ASCII,  # RFC 3834 §5
    "autocrypt": Kind.ASCII,
    "bimi-selector": Kind.ASCII,
    "cfbl-address": Kind.ASCII,  # RFC 9477
    "cfbl-feedback-id": Kind.ASCII,  # RFC 9477
    "comments": Kind.TEXT,
    "disposition-notification-to": Kind.ASCII,  # RFC 8098 §2.1
    "entity-ref-id": Kind.ASCII,
    "expires": Kind.ASCII,  # RFC 4021 §2.1.50
    "expiry-date": Kind.ASCII,
    "feedback-id": Kind.ASCII,
    "importance": Kind.ASCII,  # RFC 4021 §2.1.54
    "in-reply-to": Kind.IDS,
    "keywords": Kind.TEXT,
    "language": Kind.ASCII,
    "organization": Kind.TEXT,
    "original-message-id": Kind.ASCII,  # RFC 3297 §3.6
    "precedence": Kind.ASCII,
    "priority": Kind.ASCII,  # RFC 4021 §2.1.55
    "references": Kind.IDS,
    "reply-by": Kind.ASCII,  # RFC 4021 §2.1.51
    "sensitivity": Kind.ASCII,  # RFC 4021 §2.1.53
    "supersedes": Kind.ASCII,
    "thread-index": Kind.ASCII,
    "thread-topic": Kind.TEXT,
    "tls-required": Kind.ASCII,  # RFC 8689 §5
}
_ALLOWED_PREFIXES = (("x-", Kind.TEXT), ("list-", Kind.ASCII), ("thread-", Kind.ASCII))
_REPEATABLE = frozenset({"comments", "keywords"})  # RFC 5322 §3.6; and every X- field

_INSTEAD = {
    "bcc": "use the field “bcc”",
    "cc": "use the field “cc”",
    "date": "pillarbox writes the date",
    "dkim-signature": "a signature is made by pillarbox or by the relay",
    "from": "use the field “from”",
    "message-id": "pillarbox gives every message its id",
    "mime-version": "pillarbox builds the MIME structure",
    "received": "servers write it, not senders",
    "reply-to": "use the field “reply_to”",
    "return-path": "the receiving server writes it",
    "sender": "use the field “sender”",
    "subject": "use the field “subject”",
    "to": "use the field “to”",
}
_INSTEAD_PREFIXES = (
    ("content-", "pillarbox builds the MIME structure"),
    ("mime-", "pillarbox builds the MIME structure"),
    ("resent-", "send the message as a new one"),
    ("arc-", "servers write it, not senders"),
    ("authentication-", "servers write it, not senders"),
    ("received-", "servers write it, not senders"),
    ("dkim-", "a signature is made by pillarbox or by the relay"),
    ("domainkey-", "a signature is made by pillarbox or by the relay"),
    ("x-pillarbox-", "names that begin with X-Pillarbox- are ours"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """A field that a caller adds: a name from the table above, and its value unfolded."""

    name: str
    value: str

    def __post_init__(self) -> None:
        """Raises Invalid; its field is the name of the header, if it is one."""
        if not (len(self.name) <= MAX_NAME and _FIELD_NAME.fullmatch(self.name)):
            raise Invalid(
                f"a header name is 1 to {MAX_NAME} ASCII characters without blanks and colons"
            )
        if fault := _fault(self.name, self.value):
            raise Invalid(fault, field=pointer(self.name))

    @property
    def is_repeatable(self) -> bool:
        """True when a message may have several of it."""
        name = self.name.lower()
        return name in _REPEATABLE or name.startswith("x-")

    def line(self) -> str:
        """The field as it stands in a message, folded, with its CRLF."""
        if kind_of(self.name) is Kind.TEXT:
            room = words.MAX_WORD - 1 - len(self.name)
            return fold(self.name, words.unstructured(self.value, room))
        return fold(self.name, words.foldable(self.value.strip(" \t")))


def kind_of(name: str) -> Kind | None:
    """How the value of this field is spelled, or None when callers may not set it."""
    lower = name.lower()
    if _instead(lower):
        return None
    if kind := _ALLOWED.get(lower):
        return kind
    return next((kind for prefix, kind in _ALLOWED_PREFIXES if lower.startswith(prefix)), None)


def pointer(name: str) -> str:
    """The name as one step of a JSON Pointer, RFC 6901 §3."""
    return name.replace("~", "~0").replace("/", "~1")


def _instead(lower: str) -> str | None:
    if advice := _INSTEAD.get(lower):
        return advice
    return next((text for prefix, text in _INSTEAD_PREFIXES if lower.startswith(prefix)), None)


def _fault(name: str, value: str) -> str | None:
    kind = kind_of(name)
    if kind is None:
        advice = _instead(name.lower()) or "use a name that begins with X-"
        return f"the header {name} cannot be set: {advice}"
    if words.UNSAFE.search(value):
        return f"{name} must not contain control characters or line ends"
    if not value.strip():
        return f"{name} has no value"
    if len(value) > MAX_VALUE:
        return f"{name} is at most {MAX_VALUE} characters long"
    if fault := _misspelling(kind, value):
        return f"{name} {fault}"
    if max(map(len, value.split())) + len(name) + 2 > MAX_LINE:
        return f"{name} has a word that does not fit into a line of {MAX_LINE} octets"
    return None


def _misspelling(kind: Kind, value: str) -> str | None:
    if kind is Kind.ASCII and not _STRUCTURED.fullmatch(value):
        return "takes ASCII characters only"
    if kind is Kind.IDS and not _IDS.fullmatch(value.strip(" \t")):
        return "takes message ids such as <id@domain>, separated by blanks"
    return None
