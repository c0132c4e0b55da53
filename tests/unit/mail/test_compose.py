"""The shape of a composed message: which part stands where, and what is never cut."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, cast

import pytest

from pillarbox.base.errors import Invalid
from pillarbox.mail.attachment import Attachment
from pillarbox.mail.compose import compose
from pillarbox.mail.content import Content, header_section
from pillarbox.mail.draft import Calendar, Draft, ListUnsubscribe, Priority
from pillarbox.mail.header import Header
from pillarbox.mail.mailbox import Mailbox
from pillarbox.mail.transfer import base64_lines

ANN = Mailbox.parse("Ann <ann@example.org>")
BOB = Mailbox.parse("Bob <bob@example.org>")
DATE = datetime(2026, 11, 20, 16, 7, 0, tzinfo=UTC)
LOGO = Attachment("logo.png", "image/png", b"\x89PNG", "logo")
FILE = Attachment("a.pdf", "application/pdf", b"%PDF")
CALENDAR = Calendar("REQUEST", "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n")


def composed(**changes: Any) -> Content:
    draft = Draft(**({"from_": ANN, "to": (BOB,), "subject": "hi"} | changes))
    return compose(draft, message_id="<1@example.org>", date=DATE)


def read(content: Content) -> EmailMessage:
    parsed = email.message_from_bytes(content.octets, policy=email.policy.default)
    return cast("EmailMessage", parsed)


def shape(part: EmailMessage) -> Any:
    kind = part.get_content_type()
    if part.is_multipart() and not kind.startswith("message/"):
        return kind, [shape(cast("EmailMessage", inner)) for inner in part.iter_parts()]
    return kind


def test_a_plain_message_octet_for_octet() -> None:
    """Nothing more than it needs."""
    assert composed(text="Hello\n.\nbye").octets == (
        b"Date: Fri, 20 Nov 2026 16:07:00 +0000\r\n"
        b"From: Ann <ann@example.org>\r\n"
        b"To: Bob <bob@example.org>\r\n"
        b"Message-ID: <1@example.org>\r\n"
        b"Subject: hi\r\n"
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hello\r\n.\r\nbye\r\n"
    )


ALTERNATIVE = ("multipart/alternative", ["text/plain", "text/html"])
MIXED = ("multipart/mixed", ["text/plain", "application/pdf"])
RELATED = ("multipart/related", ["text/html", "image/png"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": "x"}, "text/plain"),
        ({"html": "<p>x"}, ALTERNATIVE),
        ({"html": "<img src=cid:x>"}, "text/html"),
        ({"text": "x", "html": "<p>x"}, ALTERNATIVE),
        ({"calendar": CALENDAR}, "text/calendar"),
        (
            {"text": "x", "html": "x", "calendar": CALENDAR},
            ("multipart/alternative", ["text/plain", "text/html", "text/calendar"]),
        ),
        ({"text": "x", "attachments": (FILE,)}, MIXED),
        ({"attachments": (FILE,)}, ("multipart/mixed", ["application/pdf"])),
        (
            {"html": "<p>x<img src=cid:logo>", "attachments": (FILE, LOGO)},
            (
                "multipart/mixed",
                [("multipart/alternative", ["text/plain", RELATED]), "application/pdf"],
            ),
        ),
        ({"text": "x", "attachments": (LOGO,)}, ("multipart/mixed", ["text/plain", "image/png"])),
    ],
)  # fmt: skip
def test_parts_stand_where_readers_look_for_them(changes: dict[str, Any], expected: Any) -> None:
    """The best alternative last, images beside their HTML, files outside."""
    assert shape(read(composed(**changes))) == expected


def test_an_inline_image_keeps_its_content_id() -> None:
    """`cid:logo` in the HTML finds it (RFC 2392)."""
    message = read(composed(text="x", html="<img src=cid:logo>", attachments=(LOGO,)))
    image = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert (image["Content-ID"], image.get_content_disposition()) == ("<logo>", "inline")
    assert image.get_payload(decode=True) == b"\x89PNG"


def test_an_invitation_says_its_method() -> None:
    """RFC 6047 §2.4: without the parameter it is only a file."""
    part = read(composed(text="x", calendar=CALENDAR)).get_payload(1)
    assert cast("EmailMessage", part).get_param("method") == "REQUEST"


def test_an_attached_message_is_not_encoded() -> None:
    """RFC 2046 §5.2.1."""
    inner = b"Subject: inner\r\n\r\nhello\r\n"
    message = read(composed(text="x", attachments=(Attachment("a.eml", "message/rfc822", inner),)))
    part = cast("EmailMessage", message.get_payload(1))
    assert part["Content-Transfer-Encoding"] == "7bit"
    assert cast("EmailMessage", part.get_payload(0))["Subject"] == "inner"


def test_one_click_unsubscribing_survives_whole() -> None:
    """A link longer than a line is not cut and not encoded (RFC 8058 §3.1)."""
    url = "https://example.org/u?token=" + "x" * 400
    content = composed(
        text="x", list_unsubscribe=ListUnsubscribe("stop@example.org", url, one_click=True)
    )
    assert (
        f"\r\nList-Unsubscribe: <{url}>,\r\n <mailto:stop@example.org>\r\n".encode()
        in content.octets
    )
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in content.octets


def test_priority_is_said_in_both_dialects() -> None:
    """Outlook reads one, others the other."""
    message = read(composed(text="x", priority=Priority.HIGH))
    assert (message["X-Priority"], message["Importance"]) == ("1 (Highest)", "high")


def test_bcc_is_nowhere() -> None:
    """And a message to Bcc alone still has a To, because a missing one looks like spam."""
    content = composed(to=(), bcc=(BOB,), text="x")
    assert b"bob@example.org" not in content.octets
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in content.octets


def test_a_sender_like_the_author_is_not_repeated() -> None:
    """RFC 5322 §3.6.2."""
    assert b"Sender" not in composed(text="x", sender=ANN).octets
    assert b"\r\nSender: Bob <bob@example.org>\r\n" in composed(text="x", sender=BOB).octets


def test_a_local_part_outside_ascii_needs_smtputf8() -> None:
    """RFC 6532: it cannot be encoded. Everything else in the header stays ASCII."""
    content = composed(to=(Mailbox.parse("Jösé <jösé@müller.example>"),), text="ä")
    assert content.needs_smtputf8
    assert "<jösé@xn--mller-kva.example>".encode() in header_section(content.octets)
    assert not composed(to=(Mailbox.parse("Jösé <jose@müller.example>"),), text="ä").needs_smtputf8


def test_a_boundary_that_stands_in_a_part_is_not_used() -> None:
    """Somebody who knows how boundaries are made cannot end a part early."""
    first = read(composed(text="x", html="y")).get_boundary()
    assert first is not None
    message = read(composed(text=f"a\n--{first}--\nb", html="y"))
    assert message.get_boundary() != first
    assert shape(message) == ALTERNATIVE


@pytest.mark.parametrize(
    "wrong", ["1@example.org", "<1>", "<1@example.org>\r\nX: y", "<ä@b.example>", ""]
)
def test_a_message_id_is_checked(wrong: str) -> None:
    """It goes into the header as it is."""
    with pytest.raises(Invalid):
        compose(Draft(from_=ANN, to=(BOB,), text="x"), message_id=wrong, date=DATE)


def test_a_forged_value_is_caught_before_the_socket() -> None:
    """A value that went round every check still cannot add a header field (W11)."""
    forged = Header("Precedence", "bulk")
    object.__setattr__(forged, "value", "bulk\r\nBcc:\teve@example.org")
    with pytest.raises(Invalid):
        composed(text="x", headers=(forged,))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain", "7bit"),
        ("x" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("a few ümlauts in a long line", "quoted-printable"),
        ("привет", "base64"),
        ("bell\x07", "quoted-printable"),
    ],
)
def test_text_is_encoded_only_as_far_as_needed(text: str, encoding: str) -> None:
    """Never 8bit, so that every relay can take it."""
    message = read(composed(text=text))
    assert message["Content-Transfer-Encoding"] == encoding
    assert message.get_payload(decode=True) == text.encode() + b"\r\n"


def test_a_large_file_is_encoded_in_blocks_without_a_seam() -> None:
    """Short lines only at the very end."""
    lines = base64_lines(bytes(57 * 4096 * 2 + 5)).split(b"\r\n")
    assert {len(line) for line in lines[:-2]} == {76}
    assert lines[-1] == b""


def test_a_subject_without_blanks_is_cut_into_words() -> None:
    """It would not fit into one line otherwise."""
    assert read(composed(text="x", subject="x" * 998))["Subject"] == "x" * 998


def test_fifty_recipients_are_folded() -> None:
    """Between addresses and after names, never inside them."""
    many = tuple(Mailbox.parse(f"Person {n} <person{n}@example.org>") for n in range(50))
    content = composed(to=many, text="x")
    assert max(map(len, content.octets.split(b"\r\n"))) <= 78
    assert len(read(content)["To"].addresses) == 50


def test_a_date_without_an_offset_is_our_own_mistake() -> None:
    """A naive time would be sent as if it were UTC."""
    with pytest.raises(ValueError, match="offset"):
        compose(
            Draft(from_=ANN, to=(BOB,), text="x"),
            message_id="<1@example.org>",
            date=DATE.replace(tzinfo=None),
        )
