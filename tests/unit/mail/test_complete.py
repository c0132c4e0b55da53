"""Raw mail gets what it lacks, and keeps every other octet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.mail.complete import complete
from pillarbox.mail.content import Content

DATE = datetime(2026, 11, 20, 16, 7, 0, tzinfo=UTC)
ID = "<new@example.org>"
WHOLE = (
    b"From: Ann <ann@example.org>\r\n"
    b"Date: Fri, 20 Nov 2026 16:07:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
)
ADDED_DATE = b"Date: Fri, 20 Nov 2026 16:07:00 +0000\r\n"
ADDED_ID = b"Message-ID: <new@example.org>\r\n"


def completed(octets: bytes) -> bytes:
    return complete(octets, message_id=ID, date=DATE).octets


def problems(octets: bytes) -> list[str]:
    with pytest.raises(Rejected) as caught:
        completed(octets)
    assert {problem.field for problem in caught.value.problems} == {"content"}
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "octets",
    [
        WHOLE + b"\r\nhi\r\n",
        WHOLE + b"Subject: a\r\n\tb\r\n\r\n.\r\n..\r\n",
        WHOLE + b"X-Odd:no blank  \r\nX-Odd: twice\r\nX-Empty:\r\n\r\n",
        WHOLE,
        WHOLE + "Subject: grüße\r\n\r\nhi\r\n".encode(),
    ],
)
def test_a_complete_message_is_not_touched(octets: bytes) -> None:
    """A signature made before still holds."""
    assert completed(octets) == octets


def test_what_is_missing_is_added_at_the_end_of_the_header() -> None:
    """RFC 6409 §8.2 and §8.3; the body and the other fields stay."""
    octets = b"From: a@example.org\r\nX-A:  b\r\n\r\nBcc: body\r\n"
    expected = b"From: a@example.org\r\nX-A:  b\r\n" + ADDED_DATE + ADDED_ID + b"\r\nBcc: body\r\n"
    assert completed(octets) == expected


def test_names_are_compared_without_case() -> None:
    """`DATE:` is a date."""
    octets = b"FROM: a@example.org\r\nDATE: now\r\nmessage-id: <1@b>\r\n\r\n"
    assert completed(octets) == octets


def test_bcc_goes_with_all_its_lines() -> None:
    """Also folded, also twice, also in a forwarded message."""
    hidden = (
        b"bcc: eve@example.org,\r\n mal@example.org\r\nBcc: x@example.org\r\nResent-Bcc: y@z\r\n"
    )
    assert completed(hidden + WHOLE + b"\r\nhi\r\n") == WHOLE + b"\r\nhi\r\n"


@pytest.mark.parametrize(
    "name",
    [b"From", b"Date", b"Message-ID", b"Subject", b"To", b"Cc", b"Sender", b"Reply-To"],
)
def test_a_field_that_stands_twice_is_refused(name: bytes) -> None:
    """Servers show different ones; large providers refuse such mail."""
    line = name + b": a@example.org\r\n"
    start = WHOLE if WHOLE.find(name) >= 0 else WHOLE + line
    [problem] = problems(start + line.lower() + b"\r\n")
    assert problem == f"the message has 2 {name.decode()} fields"


@pytest.mark.parametrize(
    ("author", "fault"),
    [
        (b"", "no From field"),
        (b"From: a@example.org, b@example.org\r\n", "has 2 addresses"),
        (b"From:\r\n", "has 0 addresses"),
        (b"From: (a@example.org)\r\n", "has 0 addresses"),
        (b"From: nobody\r\n", "cannot be read"),
        (b"From: " + b'"\\' * 490 + b"\r\n" + (b" " + b'"\\' * 490 + b"\r\n") * 900, "longer than"),
        (b"From: A <a@example.org> <b@example.org>\r\n", "cannot be read"),
        (b"From: a: b@example.org, c@example.org;\r\n", "cannot be read"),
        (b'From: "A <a@example.org>\r\n', "cannot be read"),
    ],
)
def test_there_is_exactly_one_author(author: bytes, fault: str) -> None:
    """Whose right to send is checked must be who readers see."""
    [problem] = problems(author + b"Subject: x\r\n\r\nhi\r\n")
    assert fault in problem


@pytest.mark.parametrize(
    "author",
    [
        b'"Doe, Jane" <jane@example.org>',
        b"=?utf-8?q?J=C3=B6?= <jane@example.org>",
        b"jane@example.org (Jane, Doe)",
        b"Jane\r\n Doe\r\n\t<jane@example.org>",
        '"Jäne" <jane@example.org>'.encode(),
    ],
)
def test_an_author_may_be_spelled_in_many_ways(author: bytes) -> None:
    """Comments, folds, encoded words."""
    assert completed(b"From: " + author + b"\r\n\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"From a@example.org Fri Nov 20\r\n",
        b"no colon\r\n",
        b"Subject : x\r\n",
        b" starts folded\r\n",
        b": x\r\n",
        "Ünter: x\r\n".encode(),
    ],
)
def test_a_header_that_could_be_read_in_two_ways_is_refused(line: bytes) -> None:
    """The line is named."""
    assert problems(line + WHOLE + b"\r\n") == ["line 1 of the message is not a header field"]


def test_a_line_of_blanks_does_not_hide_the_rest_of_the_header() -> None:
    """Some servers take it for the end of the header, some do not."""
    assert problems(WHOLE + b"X: y\r\n \r\nBcc: z\r\n\r\n") == [
        "line 5 of the message is not a header field"
    ]


def test_a_header_in_latin_1_is_refused() -> None:
    """RFC 6532 allows UTF-8 and nothing else."""
    assert problems(WHOLE + b"Subject: gr\xfc\xdfe\r\n\r\n") == [
        "the header has octets that are neither ASCII nor UTF-8"
    ]


def test_all_faults_are_reported() -> None:
    """Not only the first one."""
    assert len(problems(b"To: a\r\nTo: b\r\nCc: a\r\nCc: b\r\n\r\n")) == 3


def test_the_gate_comes_first() -> None:
    """Raw mail is refused, never repaired."""
    with pytest.raises(Invalid, match="line feed"):
        completed(WHOLE + b"\r\nhi\n.\r\n")
    assert Content.pass_gate(completed(b"From: a@b.example\r\n\r\nhi\r\n"))
