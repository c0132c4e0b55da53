"""Nothing that a caller writes becomes a header field of its own (CWE-93), wherever it is put."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pillarbox.base.errors import Refused
from pillarbox.mail.address import Address
from pillarbox.mail.attachment import Attachment
from pillarbox.mail.compose import compose
from pillarbox.mail.content import header_section
from pillarbox.mail.draft import Calendar, Draft, ListUnsubscribe
from pillarbox.mail.header import Header
from pillarbox.mail.mailbox import Mailbox

DATE = datetime(2026, 11, 20, 16, 7, 0, tzinfo=UTC)
ID = "<1@example.org>"
ANN, BOB = Mailbox.parse("ann@example.org"), Mailbox.parse("bob@example.org")

LINE_ENDS = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
]
CORPUS = [
    *(f"a{end}Bcc: eve@example.org" for end in LINE_ENDS),
    *(f"a{end} Bcc: eve@example.org" for end in LINE_ENDS),
    *(f"a{end}" for end in LINE_ENDS),
    *(f"{end}Bcc: eve@example.org" for end in LINE_ENDS),
    "a\x00Bcc: eve@example.org",
    "=?utf-8?q?a=0D=0ABcc:_eve@example.org?=",
    "=?utf-8?b?YQ0KQmNjOiBldmVAZXhhbXBsZS5vcmc=?=",
    "a%0D%0ABcc: eve@example.org",
    "a\\r\\nBcc: eve@example.org",
    '"\r\nBcc: eve@example.org',
    "<a@example.org>\r\nBcc: <eve@example.org>",
    "https://example.org/\r\nBcc: eve@example.org",
    "x" * 5_000,
    "x " * 5_000,
    "ä" * 5_000,
    "\u010d\u010aBcc: eve@example.org",  # CR and LF once cut to eight bits
    "a\ud800",
]  # fmt: skip


def draft(**changes: Any) -> Draft:
    return Draft(**({"from_": ANN, "to": (BOB,), "html": "x"} | changes))


def attached(*leaf: Any) -> Draft:
    return draft(attachments=(Attachment(*leaf),))


FIELDS: dict[str, Callable[[str], Draft]] = {
    "from name": lambda text: draft(from_=Mailbox(text, ANN.address)),
    "from": lambda text: draft(from_=Mailbox.parse(text)),
    "to name": lambda text: draft(to=(Mailbox(text, BOB.address),)),
    "local part": lambda text: draft(cc=(Mailbox("", Address.parse(f"{text}@example.org")),)),
    "domain": lambda text: draft(reply_to=(Mailbox("", Address.parse(f"a@{text}")),)),
    "subject": lambda text: draft(subject=text),
    "text": lambda text: draft(text=text),
    "html": lambda text: draft(html=text),
    "free header": lambda text: draft(headers=(Header("X-Tag", text),)),
    "ascii header": lambda text: draft(headers=(Header("Precedence", text),)),
    "references": lambda text: draft(headers=(Header("References", f"<{text}@b>"),)),
    "header name": lambda text: draft(headers=(Header(f"X-{text}", "x"),)),
    "filename": lambda text: attached(text, "image/png", b""),
    "content type": lambda text: attached("a", f"image/{text}", b""),
    "content id": lambda text: attached("a", "image/png", b"", text),
    "unsubscribe URL": lambda text: draft(list_unsubscribe=ListUnsubscribe(url=f"https://{text}")),
    "unsubscribe address": lambda text: draft(
        list_unsubscribe=ListUnsubscribe(mailto=f"a@example.org?subject={text}")
    ),
    "calendar": lambda text: draft(calendar=Calendar(text, f"BEGIN:VCALENDAR\nMETHOD:{text}")),
}


def assert_harmless(build: Callable[[str], Draft], text: str) -> None:
    """Refused, or composed with the fields we meant in every header section of the message."""
    try:
        built = build(text)
    except Refused:
        return
    content = compose(built, message_id=ID, date=DATE)
    message = email.message_from_bytes(content.octets, policy=email.policy.default)
    expected = {"Date", "From", "To", "Message-ID", "Subject", "MIME-Version", "Content-Type"}
    expected |= {header.name for header in built.headers}
    expected |= {"List-Unsubscribe"} if built.list_unsubscribe else set()
    expected |= {"Cc"} if built.cc else set()
    expected |= {"Reply-To"} if built.reply_to else set()
    assert set(message.keys()) - {"Content-Transfer-Encoding"} == expected
    assert len(message.keys()) == len(set(message.keys()))
    assert not any(
        line.lower().startswith(b"bcc") for line in header_section(content.octets).split(b"\r\n")
    )
    for part in message.walk():
        assert part is message or all(name.startswith("Content-") for name in part)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
def test_the_corpus_is_refused_or_harmless(field: str, text: str) -> None:
    """Every attack on every field."""
    assert_harmless(FIELDS[field], text)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(FIELDS)),
    st.lists(st.sampled_from([*LINE_ENDS, "Bcc:", "=?", "?=", *'a \t:"<>@\\,;é']), max_size=12),
)
def test_any_mixture_is_refused_or_harmless(field: str, pieces: list[str]) -> None:
    """What the corpus did not think of."""
    assert_harmless(FIELDS[field], "".join(pieces))
