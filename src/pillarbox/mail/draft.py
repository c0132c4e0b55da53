"""
A message as its author thinks of it, before it is octets (that is mail/compose.py).

A leaf (Mailbox, Header, Attachment …) raises Invalid with a field of its own; whoever builds
it says where it stands with `under`. A Draft raises Rejected with everything that is wrong
between the leaves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from types import EllipsisType

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.mail import words
from pillarbox.mail.address import Address
from pillarbox.mail.attachment import Attachment
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.header import Header, pointer
from pillarbox.mail.mailbox import Mailbox

MAX_RECIPIENTS = 50  # to, cc and bcc together
MAX_SUBJECT = 998  # characters
MAX_ATTACHMENTS = 100
MAX_HEADERS = 100
MAX_LINK = 900  # characters, so that it fits into one line whole

_LINK = re.compile(r"[!-;=?-~]+")  # visible ASCII without angle brackets
_METHODS = frozenset(  # RFC 5546 §1.4
    {"PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}
)
_METHOD_LINE = re.compile(r"^METHOD:([A-Za-z]+)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_UNSENDABLE = re.compile(r"[\ud800-\udfff]")


class Priority(Enum):
    """What the author thinks of its urgency. It changes what readers show, not how we send."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class ListUnsubscribe:
    """
    Where a reader's "unsubscribe" button leads, RFC 2369 §3.2.

    With `one_click` the URL takes a POST and needs no further question (RFC 8058 §3.1).
    """

    mailto: str | None = None
    url: str | None = None
    one_click: bool = False

    def __post_init__(self) -> None:
        if self.mailto is None and self.url is None:
            raise Invalid("unsubscribing needs an address or an https URL", field="url")
        if self.mailto is not None:
            _check_mailto(self.mailto)
        if self.url is not None:
            _check_url(self.url)
        if self.one_click and self.url is None:
            raise Invalid("one-click unsubscribing needs an https URL (RFC 8058)", field="url")

    @property
    def links(self) -> tuple[str, ...]:
        """The URIs as the field lists them, the web first: readers take the first they can."""
        mailto = self.mailto
        if mailto is not None and not mailto.lower().startswith("mailto:"):
            mailto = f"mailto:{mailto}"
        return tuple(f"<{link}>" for link in (self.url, mailto) if link is not None)


@dataclass(frozen=True, slots=True)
class Calendar:
    """An iCalendar object with the method that makes it an invitation (RFC 6047 §2.4)."""

    method: str
    content: str

    def __post_init__(self) -> None:
        if self.method.upper() not in _METHODS:
            methods = ", ".join(sorted(_METHODS))
            raise Invalid(f"a calendar method is one of {methods}", field="method")
        if _is_unsendable(self.content):
            raise Invalid("the calendar has a NUL or half a character", field="content")
        if not self.content.lstrip().upper().startswith("BEGIN:VCALENDAR"):
            raise Invalid("a calendar begins with BEGIN:VCALENDAR", field="content")
        stated = _METHOD_LINE.search(self.content)
        if stated is None or stated[1].upper() != self.method.upper():
            raise Invalid(
                f"the calendar needs the line METHOD:{self.method.upper()} (RFC 6047 §2.4)",
                field="content",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """
    What to say, to whom, as whom. Raises Rejected with every problem when it cannot be sent.

    `sender` is who really sent it when that is not the author (RFC 5322 §3.6.2). `html`
    without `text` gets a text made from it. An attachment with a content id is shown inside
    the HTML that names it as `cid:…`.
    """

    from_: Mailbox
    sender: Mailbox | None = None
    reply_to: tuple[Mailbox, ...] = ()
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[Header, ...] = ()
    list_unsubscribe: ListUnsubscribe | None = None
    priority: Priority | None = None
    calendar: Calendar | None = None

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise Rejected(problems)

    def envelope(self, reverse_path: Address | EllipsisType | None = ...) -> Envelope:
        """
        Each recipient once, in the order written. Left out, the reverse path is the sender's.

        None is the null path `<>`: mail that must not bounce.
        """
        if isinstance(reverse_path, EllipsisType):
            reverse_path = (self.sender or self.from_).address
        recipients = tuple([mailbox.address for mailbox in chain(self.to, self.cc, self.bcc)])
        if len(recipients) > 1:
            recipients = tuple(dict.fromkeys(recipients))
        return Envelope(reverse_path, recipients)

    def _problems(self) -> Iterator[Invalid]:
        recipients = len(self.to) + len(self.cc) + len(self.bcc)
        if recipients == 0:
            yield Invalid("a message needs at least one recipient", field="to")
        if recipients > MAX_RECIPIENTS:
            yield Invalid(
                f"a message takes at most {MAX_RECIPIENTS} recipients in to, cc and bcc together;"
                f" this one has {recipients}",
                field="to",
            )
        if len(self.reply_to) > MAX_RECIPIENTS:
            yield Invalid(f"reply_to takes at most {MAX_RECIPIENTS} addresses", field="reply_to")
        yield from self._text_problems()
        if self.attachments:
            yield from self._attachment_problems()
        if self.headers:
            yield from self._header_problems()

    def _text_problems(self) -> Iterator[Invalid]:
        if words.UNSAFE.search(self.subject):
            yield Invalid("a subject has no control characters or line ends", field="subject")
        if len(self.subject) > MAX_SUBJECT:
            yield Invalid(f"a subject is at most {MAX_SUBJECT} characters long", field="subject")
        for field, text in (("text", self.text), ("html", self.html)):
            if text is not None and _is_unsendable(text):
                yield Invalid(f"{field} has a NUL or half a character", field=field)
        if self.text is None and self.html is None and not (self.calendar or self.attachments):
            yield Invalid("a message needs a text, HTML, a calendar or an attachment", field="text")

    def _attachment_problems(self) -> Iterator[Invalid]:
        if len(self.attachments) > MAX_ATTACHMENTS:
            yield Invalid(
                f"a message takes at most {MAX_ATTACHMENTS} attachments", field="attachments"
            )
        seen: set[str] = set()
        for number, attachment in enumerate(self.attachments):
            if attachment.content_id is None:
                continue
            if attachment.content_id in seen:
                yield Invalid(
                    f"the content id {attachment.content_id} is used twice",
                    field=f"attachments/{number}/content_id",
                )
            seen.add(attachment.content_id)

    def _header_problems(self) -> Iterator[Invalid]:
        if len(self.headers) > MAX_HEADERS:
            yield Invalid(f"a message takes at most {MAX_HEADERS} extra headers", field="headers")
        counts = Counter(header.name.lower() for header in self.headers)
        ours = self._written_by_us()
        for header in {header.name.lower(): header for header in self.headers}.values():
            name = header.name.lower()
            if name in ours:
                fault = f"{header.name} is already written by the field “{ours[name]}”"
                yield Invalid(fault, field=f"headers/{pointer(header.name)}")
            elif counts[name] > 1 and not header.is_repeatable:
                fault = f"a message has at most one {header.name}"
                yield Invalid(fault, field=f"headers/{pointer(header.name)}")

    def _written_by_us(self) -> dict[str, str]:
        """Header names that fields of this draft write, in lower case, with the field."""
        ours: dict[str, str] = {}
        if self.priority is not None:
            ours |= dict.fromkeys(("x-priority", "importance"), "priority")
        if self.list_unsubscribe is not None:
            names = ("list-unsubscribe", "list-unsubscribe-post")
            ours |= dict.fromkeys(names, "list_unsubscribe")
        return ours


def _is_unsendable(text: str) -> bool:
    """A NUL, or half a character. Most texts are ASCII, and then one look is enough."""
    return "\x00" in text or (not text.isascii() and _UNSENDABLE.search(text) is not None)


def _check_mailto(mailto: str) -> None:
    address = re.sub("^mailto:", "", mailto, flags=re.IGNORECASE).partition("?")[0]
    if len(mailto) > MAX_LINK or not _LINK.fullmatch(mailto):
        raise Invalid("an unsubscribe address is ASCII without blanks", field="mailto")
    try:
        Address.parse(address)
    except Invalid as fault:
        raise Invalid(str(fault), field="mailto") from None


def _check_url(url: str) -> None:
    if not url.lower().startswith("https://") or len(url) <= len("https://"):
        raise Invalid("an unsubscribe URL begins with https://", field="url")
    if len(url) > MAX_LINK or not _LINK.fullmatch(url):
        raise Invalid(
            f"an unsubscribe URL is at most {MAX_LINK} ASCII characters, blanks as %20", field="url"
        )
