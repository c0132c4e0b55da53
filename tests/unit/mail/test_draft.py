"""A draft that can be made can be sent; one that cannot says everything that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.mail.address import Address
from pillarbox.mail.attachment import Attachment
from pillarbox.mail.draft import Calendar, Draft, ListUnsubscribe, Priority
from pillarbox.mail.header import Header
from pillarbox.mail.mailbox import Mailbox

ANN = Mailbox.parse("Ann <ann@example.org>")
BOB = Mailbox.parse("Bob <bob@example.org>")
PNG = Attachment("a.png", "image/png", b"\x89PNG", "logo")
INVITATION = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


def draft(**changes: Any) -> Draft:
    return Draft(**({"from_": ANN, "to": (BOB,), "text": "hi"} | changes))


PROBLEMS: list[tuple[dict[str, Any], list[str]]] = [
    ({"to": ()}, ["to"]),
    ({"to": (BOB,) * 30, "cc": (BOB,) * 20, "bcc": (BOB,)}, ["to"]),
    ({"text": None}, ["text"]),
    ({"text": "a\x00"}, ["text"]),
    ({"html": "\ud83d"}, ["html"]),
    ({"subject": "a\r\nBcc: eve@example.org"}, ["subject"]),
    ({"subject": "x" * 999}, ["subject"]),
    ({"attachments": (PNG, PNG)}, ["attachments/1/content_id"]),
    ({"attachments": (Attachment("a", "image/png", b""),) * 101}, ["attachments"]),
    ({"headers": (Header("X-A", "1"),) * 101}, ["headers"]),
    ({"headers": (Header("Precedence", "a"), Header("precedence", "b"))}, ["headers/precedence"]),
    (
        {"priority": Priority.HIGH, "headers": (Header("Importance", "low"),)},
        ["headers/Importance"],
    ),
    (
        {
            "list_unsubscribe": ListUnsubscribe(url="https://example.org/u"),
            "headers": (Header("List-Unsubscribe", "<https://example.org/v>"),),
        },
        ["headers/List-Unsubscribe"],
    ),
    ({"to": (), "text": None, "subject": "\n"}, ["to", "subject", "text"]),
]


@pytest.mark.parametrize(("changes", "fields"), PROBLEMS)
def test_every_problem_is_reported_with_its_field(
    changes: dict[str, Any], fields: list[str]
) -> None:
    """Not only the first one."""
    with pytest.raises(Rejected) as caught:
        draft(**changes)
    assert [problem.field for problem in caught.value.problems] == fields


@pytest.mark.parametrize(
    "changes",
    [
        {"text": None, "attachments": (PNG,)},
        {"text": None, "html": "<p>hi"},
        {"text": None, "calendar": Calendar("request", INVITATION)},
        {"text": ""},
        {"to": (), "bcc": (BOB,)},
        {"to": (BOB,) * 50},
        {"headers": (Header("X-A", "1"), Header("X-A", "2"))},
    ],
)
def test_what_is_enough(changes: dict[str, Any]) -> None:
    """One recipient anywhere and something to send."""
    assert draft(**changes).envelope().forward_paths == (BOB.address,)


def test_the_envelope_names_each_recipient_once_in_order() -> None:
    """Someone in To and Bcc gets one copy."""
    made = draft(to=(BOB, ANN), cc=(BOB,), bcc=(Mailbox("B", BOB.address),)).envelope()
    assert made.forward_paths == (BOB.address, ANN.address)
    assert made.reverse_path == ANN.address


def test_the_reverse_path_is_the_senders_unless_given() -> None:
    """None is a path too: the null path."""
    bounces = Address.parse("bounces@example.org")
    assert draft(sender=BOB).envelope().reverse_path == BOB.address
    assert draft().envelope(bounces).reverse_path == bounces
    assert draft().envelope(None).reverse_path is None


@pytest.mark.parametrize(
    ("filename", "content_type", "content_id", "field"),
    [
        ("", "image/png", None, "filename"),
        ("..", "image/png", None, "filename"),
        ("../a", "image/png", None, "filename"),
        ("a\\b", "image/png", None, "filename"),
        ("a\r\nX: y", "image/png", None, "filename"),
        ("a\x00", "image/png", None, "filename"),
        ("a\u202egpj.exe", "image/png", None, "filename"),
        ("x" * 256, "image/png", None, "filename"),
        ("a", "image", None, "content_type"),
        ("a", "image/png\r\nX: y", None, "content_type"),
        ("a", "image/png; name=x", None, "content_type"),
        ("a", "multipart/mixed", None, "content_type"),
        ("a", "message/partial", None, "content_type"),
        ("a", "image/png", "a b", "content_id"),
        ("a", "image/png", "<a>", "content_id"),
        ("a", "image/png", "a\r\n", "content_id"),
    ],
)
def test_an_attachment_is_named_safely(
    filename: str, content_type: str, content_id: str | None, field: str
) -> None:
    """No paths, no line ends, no types that have a structure of their own."""
    with pytest.raises(Invalid) as caught:
        Attachment(filename, content_type, b"", content_id)
    assert caught.value.field == field


@pytest.mark.parametrize("content", [b"Subject: x\n\nhi\n", b"", "Subject: ä\r\n".encode()])
def test_an_attached_message_travels_as_it_is_or_not_at_all(content: bytes) -> None:
    """RFC 2046 §5.2.1 forbids base64 for it; the advice names a type that works."""
    with pytest.raises(Invalid, match="application/octet-stream"):
        Attachment("a.eml", "message/rfc822", content)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "url"),
        ({"url": "http://example.org"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://example.org/a b"}, "url"),
        ({"url": "https://example.org/>\r\nBcc: x"}, "url"),
        ({"url": "https://example.org/" + "x" * 900}, "url"),
        ({"mailto": "nobody"}, "mailto"),
        ({"mailto": "a@example.org\r\n"}, "mailto"),
        ({"mailto": "a@example.org", "one_click": True}, "url"),
    ],
)
def test_an_unsubscribe_link_works_or_is_refused(wrong: dict[str, Any], field: str) -> None:
    """RFC 8058 §3.1: one click needs an https URL."""
    with pytest.raises(Invalid) as caught:
        ListUnsubscribe(**wrong)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("method", "content", "field"),
    [
        ("SHOUT", INVITATION, "method"),
        ("REQUEST", "hello", "content"),
        ("CANCEL", INVITATION, "content"),
        ("REQUEST", INVITATION + "\x00", "content"),
    ],
)
def test_a_calendar_says_its_method_twice_the_same(method: str, content: str, field: str) -> None:
    """RFC 6047 §2.4."""
    with pytest.raises(Invalid) as caught:
        Calendar(method, content)
    assert caught.value.field == field
