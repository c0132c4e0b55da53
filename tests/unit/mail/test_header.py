"""Which headers a caller may set, and what is said about the others."""

from __future__ import annotations

import pytest

from pillarbox.base.errors import Invalid
from pillarbox.mail.header import MAX_VALUE, Header

ALLOWED = [
    ("X-Tag", "a b"),
    ("x-priority", "1"),
    ("X-SMTPAPI", '{"category": "x"}'),
    ("Auto-Submitted", "auto-generated"),
    ("Precedence", "bulk"),
    ("References", "<a@b.example> <c@d.example>"),
    ("In-Reply-To", "<a@b.example>"),
    ("List-ID", "News <news.example.org>"),
    ("List-Unsubscribe", "<https://example.org/u?x=1>"),
    ("Feedback-ID", "a:b:c:d"),
    ("Importance", "high"),
    ("Priority", "urgent"),
    ("Organization", "Müller & Söhne"),
    ("Keywords", "one, two"),
    ("Comments", "ключ"),
    ("Expires", "Fri, 20 Nov 2026 16:07:00 +0000"),
    ("Thread-Index", "AQHZ"),
    ("Entity-Ref-ID", "1"),
]

RESERVED = [
    "From", "To", "Cc", "Bcc", "Subject", "Date", "Sender", "Reply-To", "Message-ID", "message-id",
    "MIME-Version", "Content-Type", "Content-Anything", "DKIM-Signature", "Received", "Return-Path",
    "Resent-From", "ARC-Seal", "Authentication-Results", "X-Pillarbox-Stream", "x-pillarbox-x",
    "Delivered-To", "Frobnicate",
]  # fmt: skip

BAD_VALUES = [
    "",
    " \t",
    "a\r\nBcc: eve@example.org",
    "a\nb",
    "a\rb",
    "a\x00b",
    "a\u2028b",
    "a\u0085b",
    "a\ud800b",
    "x" * 999,
    "a " * MAX_VALUE,
]


@pytest.mark.parametrize(("name", "value"), ALLOWED)
def test_harmless_headers_pass(name: str, value: str) -> None:
    """What machines and habits need."""
    line = Header(name, value).line()
    assert line.startswith(f"{name}: ")
    assert line.endswith("\r\n")
    assert line.isascii()


@pytest.mark.parametrize("name", RESERVED)
def test_the_others_are_refused_with_advice(name: str) -> None:
    """The fault stands at the header and says what to do instead."""
    with pytest.raises(Invalid, match=f"the header {name} cannot be set: ") as caught:
        Header(name, "x")
    assert caught.value.under("headers").field == f"headers/{name}"


@pytest.mark.parametrize("value", BAD_VALUES)
def test_a_value_cannot_leave_its_line(value: str) -> None:
    """No line end of any kind, nothing that cannot be folded."""
    with pytest.raises(Invalid) as caught:
        Header("X-Tag", value)
    assert caught.value.field == "X-Tag"


@pytest.mark.parametrize("name", ["", "X Y", "X:Y", "X-\r\nBcc", "X-Ä", "X-\x00", "X-" + "a" * 49])
def test_a_name_is_a_token(name: str) -> None:
    """RFC 5322 §2.2; the fault has no field of its own then."""
    with pytest.raises(Invalid) as caught:
        Header(name, "x")
    assert caught.value.field is None


def test_a_name_is_escaped_in_its_pointer() -> None:
    """RFC 6901 §3: a slash in a name is not a step."""
    with pytest.raises(Invalid) as caught:
        Header("X-a/b~c", "\n")
    assert caught.value.field == "X-a~1b~0c"


@pytest.mark.parametrize(
    "value", ["a@b.example", "<a b@c.example>", "<a@b.example", "<ä@b.example>"]
)
def test_references_are_message_ids(value: str) -> None:
    """Anything else breaks the thread for everybody."""
    with pytest.raises(Invalid, match="message ids"):
        Header("References", value)


def test_references_are_folded_between_ids_only() -> None:
    """A token longer than a line stays whole."""
    ids = [f"<{'x' * 150}{n}@example.org>" for n in range(20)]
    line = Header("References", " ".join(ids)).line()
    assert line == "References: " + "\r\n ".join(ids) + "\r\n"
