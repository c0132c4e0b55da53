"""The gate that every message passes before a socket sees it."""

from __future__ import annotations

import pytest

from pillarbox.base.errors import Invalid
from pillarbox.mail.content import Content

REFUSED = [
    (b"", "does not end with"),
    (b"a: b\r\n\r\nhi", "does not end with"),
    (b"a: b\r\n\r\nhi\n", "does not end with"),
    (b"a: b\r\n\r\n\n.\r\n", "line 3 of the message has a line feed"),
    (b"a: b\r\n\r\nx\n.\n\r\n", "line 3 of the message has a line feed"),
    (b"a: b\r\n\r\nx\r.\r\r\n", "line 3 of the message has a carriage return"),
    (b"a: b\r\n\r\n\r\r\n", "line 3 of the message has a carriage return"),
    (b"a: b\r\n\r\n\n\r\r\n", "has a carriage return"),  # as many CRs as LFs
    (b"a: b\r\n\r\nx\x00\r\n", "line 3 of the message has a NUL"),
    (b"a: b\r\n\r\nx\r\n" + b"x" * 999 + b"\r\n", "line 4 of the message has a line longer"),
    (b"x" * 999 + b"\r\n", "line 1 of the message has a line longer"),
    ((b"y" * 400 + b"\r\n") * 9 + b"x" * 1500 + b"\r\n" + b"z\r\n" * 900, "line 10 of"),
]


@pytest.mark.parametrize(("octets", "fault"), REFUSED)
def test_what_two_servers_could_read_differently_is_refused(octets: bytes, fault: str) -> None:
    """SMTP smuggling: CVE-2023-51764 and its kin. The fault and its line are named."""
    with pytest.raises(Invalid, match=fault):
        Content.pass_gate(octets)


@pytest.mark.parametrize("length", range(990, 999))
def test_a_line_of_998_octets_passes_wherever_it_stands(length: int) -> None:
    """RFC 5322 §2.1.1, counted without CRLF."""
    line = b"x" * length + b"\r\n"
    for before in (b"", b"y\r\n", line, line * 3):
        assert Content.pass_gate(before + line + b"\r\n").octets == before + line + b"\r\n"
        with pytest.raises(Invalid, match="longer than"):
            Content.pass_gate(before + b"x" * 999 + b"\r\n")


@pytest.mark.parametrize(
    ("octets", "is_eight_bit", "needs_smtputf8"),
    [
        (b"a: b\r\n\r\nhi\r\n", False, False),
        ("a: b\r\n\r\nhï\r\n".encode(), True, False),
        ("a: ä\r\n\r\nhi\r\n".encode(), True, True),
        ("a: ä\r\n".encode(), True, True),
        ("\r\nbödy\r\n\r\n".encode(), True, False),
    ],
)
def test_what_the_relay_must_offer(octets: bytes, is_eight_bit: bool, needs_smtputf8: bool) -> None:
    """8BITMIME for the body, SMTPUTF8 for the header section."""
    content = Content.pass_gate(octets)
    assert (content.is_eight_bit, content.needs_smtputf8) == (is_eight_bit, needs_smtputf8)
