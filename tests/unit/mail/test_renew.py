"""A message sent a second time on purpose has a name of its own, and the same words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pillarbox.base.errors import Invalid
from pillarbox.mail.renew import renewed

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DATE = b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n"
NEW = b"Message-ID: <2@x.test>\r\n"
BODY = b"\r\nDate: not a field\r\nMessage-ID: <body@x.test>\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            b"Date: old\r\nSubject: a\r\n b\r\nMessage-ID:\r\n <1@x.test>\r\n",
            DATE + b"Subject: a\r\n b\r\n" + NEW,
        ),
        (b"Subject: a\r\n", DATE + NEW + b"Subject: a\r\n"),  # neither was there
        (b"MESSAGE-id: <1@x.test>\r\nSubject: a\r\n", DATE + NEW + b"Subject: a\r\n"),
        (b"Date: a\r\nDate: b\r\nMessage-ID: <1@x>\r\n", DATE + NEW),  # one of each
        (b"Resent-Date: x\r\nDate: a\r\nX-Message-ID: y\r\n", None),
    ],
)
def test_only_date_and_message_id_are_new(before: bytes, after: bytes | None) -> None:
    """Field by field, in their places; the body is not looked at."""
    content = renewed(before + BODY, message_id="<2@x.test>", date=NOW)

    head, _, body = content.octets.partition(b"\r\n\r\n")
    assert b"\r\n" + body == BODY
    if after is not None:
        assert head + b"\r\n" == after
    else:
        assert b"Resent-Date: x\r\n" in content.octets
        assert b"X-Message-ID: y\r\n" in content.octets


def test_what_is_no_header_section_is_refused() -> None:
    with pytest.raises(Invalid, match="line 1"):
        renewed(b"no field\r\n\r\nbody\r\n", message_id="<2@x.test>", date=NOW)
