"""What lists and viewers show of a message, however odd it is."""

from __future__ import annotations

import pytest

from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.mailbox import Mailbox
from pillarbox.mail.section import decoded
from pillarbox.mail.summary import read_identity, summarize

MESSAGE = """\
From: =?utf-8?q?J=C3=B6?= "Q." Doe (work) <jo@example.org>
To: =?iso-8859-1?b?5A==?= <a@example.org>,
 b@example.org
Subject: =?utf-8?b?0L/RgNC4?= =?utf-8?b?0LLQtdGC?= all
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=B

--B
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

gr=FC=DFe
--B
Content-Type: text/html

<p>hi
--B
Content-Type: image/png
Content-ID: <logo>
Content-Disposition: inline; filename*=utf-8''%C3%A4.png; filename="a.png"
Content-Transfer-Encoding: base64

iVBORw==
--B
Content-Type: message/rfc822

Subject: inner

x
--B--
"""


def content(text: str) -> Content:
    return Content.pass_gate(text.replace("\n", "\r\n").encode())


def test_a_message_is_decoded_for_people() -> None:
    """Header, text, HTML and attachments."""
    summary = summarize(content(MESSAGE))
    assert summary.to == "ä <a@example.org>, b@example.org"
    assert summary.subject == "привет all"
    assert (summary.text, summary.html) == ("grüße", "<p>hi")
    assert summary.preview == "grüße"
    image, message = summary.attachments
    assert (image.filename, image.content_type, image.octets) == ("ä.png", "image/png", b"\x89PNG")
    assert image.content_id == "logo"
    assert message.content_type == "message/rfc822"
    assert b"Subject: inner" in message.octets


def test_who_wrote_it_is_read_from_the_header_alone() -> None:
    """For lists and for the check of who may send as whom."""
    identity = read_identity(content(MESSAGE))
    assert identity.from_ == (Mailbox("Jö Q. Doe", Address.parse("jo@example.org")),)
    assert identity.subject == "привет all"
    assert identity.message_id == "<1@example.org>"


@pytest.mark.parametrize(
    "text",
    [
        "\n",
        "From: a\nFrom: b\n\n",
        "not a header\n\nx\n",
        "Content-Type: text/plain; charset=nonsense\n\nhi\n",
        "Content-Type: multipart/mixed\n\nhi\n",
        "Content-Type: ////;;;=\n\nhi\n",
        "Content-Transfer-Encoding: base64\n\n!!\n",
        "Content-Disposition: attachment; filename*=nonsense'x'%ff\n\nhi\n",
        "Subject: =?nonsense?q?x?= =?utf-8?b?!?=\n\n",
        "".join(f"Content-Type: multipart/mixed; boundary={n}\n\n--{n}\n" for n in range(2_000)),
    ],
)
def test_whatever_was_accepted_can_be_looked_at(text: str) -> None:
    """A viewer that fails hides the message that needs looking at."""
    summary = summarize(content(text))
    assert isinstance(summary.preview, str)
    read_identity(content(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?a_b?=", "a b"),
        ("=?utf-8?q?a?= =?utf-8?q?b?= c", "ab c"),
        ("=?utf-8*de?q?a?=", "a"),
        ("=?utf-8?b?DQpCY2M6?=", "\ufffd\ufffdBcc:"),
        ("=?nonsense?q?a?=", "=?nonsense?q?a?="),
        ("=?utf-8?b?!!!!!?=", "=?utf-8?b?!!!!!?="),
    ],
)
def test_encoded_words_are_read(text: str, expected: str) -> None:
    """RFC 2047 §6.2; controls hidden in them are shown as what they are: damage."""
    assert decoded(text) == expected
