"""Whatever is composed, the standard library's parser reads back as it was meant."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pillarbox.mail.address import Address
from pillarbox.mail.attachment import Attachment
from pillarbox.mail.complete import complete
from pillarbox.mail.compose import compose
from pillarbox.mail.content import Content, header_section
from pillarbox.mail.draft import Draft, Priority
from pillarbox.mail.header import Header
from pillarbox.mail.mailbox import Mailbox
from pillarbox.mail.plain import readable
from pillarbox.mail.summary import read_identity, summarize
from pillarbox.mail.transfer import canonical

ID = "<01JD2M6W4Q.7@mail.example.org>"
DATE = datetime(2026, 11, 20, 16, 7, 0, tzinfo=UTC)
ANN = Mailbox("Ann", Address.parse("ann@example.net"))

quickly = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_UNSAFE = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]))
printable = st.characters(exclude_categories=["Cs"], exclude_characters=_UNSAFE)
one_line = st.text(printable, max_size=120) | st.sampled_from(
    ["=?utf-8?q?=0D=0ABcc:_eve@example.org?=", "a " * 200, "x" * 600, "ä" * 300, "a@b.example"]
)
values = one_line.map(str.strip).filter(bool).filter(lambda v: len(v) < 900)
names = st.text(printable, max_size=60) | st.sampled_from(
    [
        "Doe, John",
        "ann@evil.example",
        'Q "X" Public',
        "John Q. Public",
        "=?utf-8?b?QQ==?=",
        "😀" * 60,
    ]
)
local_parts = st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9]{1,10})?", fullmatch=True)
domains = st.sampled_from(["example.org", "müller.example", "[192.0.2.1]", "a.b.c.example"])
addresses = st.builds(
    lambda local, domain: Address.parse(f"{local}@{domain}"),
    local_parts | st.sampled_from(['"a b"', '"<x>"', '"a@b"', '"a\\"b"']),
    domains,
)
mailboxes = st.builds(Mailbox, names, addresses)
several = st.lists(mailboxes, max_size=5).map(tuple)
bodies = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=400
) | st.sampled_from(
    [
        ".",
        "..\n.\n",
        ".\r\nMAIL FROM:<x>\r\n",
        "x" * 999,
        "y" * 998,
        "a \n\t\nb",
        "From me\n",
        "é" * 2000,
    ]
)
filenames = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters=_UNSAFE + "/\\\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    ),
    min_size=1,
    max_size=80,
).filter(lambda name: name.strip(" .")) | st.sampled_from(
    [
        "Résumé.pdf",
        'a"b.txt',
        "=?utf-8?q?x?=.txt",
        "名" * 255,
        "a;b=c.txt",
        "x" * 255,
        " a ",
        "100%.txt",
    ]
)
attachments = st.lists(
    st.builds(
        Attachment,
        filenames,
        st.sampled_from(["image/png", "application/pdf", "text/csv; charset=utf-8", "text/plain"]),
        st.binary(max_size=300),
    ),
    max_size=3,
).map(tuple)


drafts = st.builds(
    Draft,
    from_=mailboxes,
    sender=st.none() | mailboxes,
    reply_to=several,
    to=several,
    cc=several,
    bcc=st.just((ANN,)),
    subject=one_line,
    text=st.none() | bodies,
    html=bodies,
    attachments=attachments,
    headers=st.lists(
        st.builds(Header, st.sampled_from(["X-Tag", "Comments", "X-" + "N" * 48]), values),
        max_size=3,
    ).map(tuple),
    priority=st.none() | st.sampled_from(Priority),
)


def read(content: Content) -> EmailMessage:
    parsed = email.message_from_bytes(content.octets, policy=email.policy.default)
    return cast("EmailMessage", parsed)


def composed(draft: Draft) -> Content:
    return compose(draft, message_id=ID, date=DATE)


def mailboxes_read(message: EmailMessage, name: str) -> list[tuple[str, str]]:
    header = cast("AddressHeader | None", message[name])
    if header is None:
        return []
    return [
        (_one(each.display_name), f"{each.username}@{each.domain}") for each in header.addresses
    ]


def mailboxes_meant(*meant: Mailbox) -> list[tuple[str, str]]:
    """As the parser says it: a local part without its quotes."""
    return [
        (_one(each.name), f"{_bare(each.address.local_part)}@{each.address.domain}")
        for each in meant
    ]


def _one(name: str) -> str:
    """
    A name without blanks: Python 3.11's reader keeps the blank between two encoded words.

    RFC 2047 §6.2 says to drop it, and our own reader does: see `read_identity` below.
    """
    return name.replace(" ", "")


def _bare(local_part: str) -> str:
    if local_part.startswith('"'):
        return re.sub(r"\\(.)", r"\1", local_part[1:-1])
    return local_part


def lines_of(content: Content) -> list[bytes]:
    return header_section(content.octets).split(b"\r\n")[:-1]


def header_names(content: Content) -> list[str]:
    return [
        line.partition(b":")[0].decode() for line in lines_of(content) if line[:1] not in b" \t"
    ]


def names_meant(draft: Draft) -> list[str]:
    has_sender = draft.sender is not None and draft.sender.address != draft.from_.address
    return [
        "Date",
        "From",
        *(["Sender"] if has_sender else []),
        *(["Reply-To"] if draft.reply_to else []),
        *(["To"] if draft.to else []),
        *(["Cc"] if draft.cc else []),
        *([] if draft.to or draft.cc else ["To"]),
        "Message-ID",
        "Subject",
        *(["X-Priority", "Importance"] if draft.priority else []),
        *(header.name for header in draft.headers),
        "MIME-Version",
        "Content-Type",
    ]


@quickly
@given(drafts)
def test_the_header_says_who_and_what_about(draft: Draft) -> None:
    """Names, addresses and subject come back as they were given; Bcc does not come at all."""
    content = composed(draft)
    message = read(content)

    assert mailboxes_read(message, "From") == mailboxes_meant(draft.from_)
    assert mailboxes_read(message, "To") == mailboxes_meant(*draft.to)
    assert mailboxes_read(message, "Cc") == mailboxes_meant(*draft.cc)
    assert mailboxes_read(message, "Reply-To") == mailboxes_meant(*draft.reply_to)
    assert message["Subject"] == draft.subject
    assert message["Message-ID"] == ID
    assert message["Date"].datetime == DATE
    assert message["Bcc"] is None
    assert b"ann@example.net" not in header_section(content.octets) or ANN.address in {
        each.address for each in (draft.from_, draft.sender or ANN, *draft.to, *draft.cc)
    }


@quickly
@given(drafts)
def test_the_header_has_exactly_the_fields_that_were_meant(draft: Draft) -> None:
    """Nothing that a caller writes becomes a header field of its own (CWE-93)."""
    content = composed(draft)
    meant = names_meant(draft)
    found = header_names(content)

    assert [name for name in found if name != "Content-Transfer-Encoding"] == meant
    assert read(content).keys() == found


@quickly
@given(drafts)
def test_extra_headers_come_back(draft: Draft) -> None:
    """In their order, with their values."""
    message = read(composed(draft))
    for name in {header.name for header in draft.headers}:
        meant = [header.value for header in draft.headers if header.name == name]
        assert message.get_all(name) == meant


@quickly
@given(drafts)
def test_the_parts_come_back(draft: Draft) -> None:
    """Text and HTML as given, but for line ends; files octet for octet, with name and type."""
    content = composed(draft)
    message = read(content)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    files = (
        list(message.iter_attachments()) if message.get_content_type() == "multipart/mixed" else []
    )

    assert html is not None
    assert html.get_payload(decode=True) == canonical(draft.html or "").encode()
    if draft.text is not None:
        assert text is not None
        assert text.get_payload(decode=True) == canonical(draft.text).encode()
    assert [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in files
    ] == [(file.filename.strip(), file.media_type, file.content) for file in draft.attachments]


@quickly
@given(drafts)
def test_the_octets_can_go_anywhere(draft: Draft) -> None:
    """ASCII only, CRLF only, no line over 998, and folded at 78 wherever a blank allows it."""
    content = composed(draft)

    assert content.octets.isascii()
    assert not content.is_eight_bit
    assert not content.needs_smtputf8
    assert content == Content.pass_gate(content.octets)
    for line in lines_of(content):
        # A long line has no blank left to fold at, but inside an address or before it.
        foldable = re.sub(rb'^[!-9;-~]+: |^[ \t]+|"(?:[^"\\]|\\.)*"@|; ', b"", line)
        assert len(line) <= 78 or not re.search(rb"[^ \t][ \t]+[^ \t]", foldable)


@quickly
@given(drafts)
def test_the_same_draft_gives_the_same_octets(draft: Draft) -> None:
    """Every attempt sends the same message."""
    assert composed(draft) == composed(draft)


@quickly
@given(mailboxes)
def test_a_mailbox_written_for_people_can_be_read_again(mailbox: Mailbox) -> None:
    """What a list shows can be pasted into a form."""
    name = mailbox.name if mailbox.name.strip() == mailbox.name else None
    if name is not None:
        assert Mailbox.parse(str(mailbox)) == mailbox


@quickly
@given(drafts)
def test_what_we_write_passes_our_own_completion(draft: Draft) -> None:
    """Completing a complete message changes nothing, and its author can be read from it."""
    content = composed(draft)

    assert complete(content.octets, message_id="<other@example.org>", date=DATE) == content
    identity = read_identity(content)
    assert identity.from_ == (draft.from_,)
    assert (identity.subject, identity.message_id) == (draft.subject, ID)
    assert [part.filename for part in summarize(content).attachments] == [
        file.filename.strip() for file in draft.attachments
    ]


@quickly
@given(
    st.text(st.characters(codec="utf-8"), max_size=300) | st.text("<>/!a =\"'&#;-x\n", max_size=300)
)
def test_any_html_can_be_read(html: str) -> None:
    """The text alternative never raises and never holds what only a terminal would obey."""
    text = readable(html)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
