"""Octets to replies and content to octets, however they are cut."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.mail.outcome import Loss
from pillarbox.mail.reply import Reply
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.dialogue import PIECE, pieces, transparent
from pillarbox.smtp.replies import MAX_LINES, MAX_REPLY, ReplyParser

texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)
replies = st.builds(
    Reply,
    st.integers(200, 599),
    st.lists(texts, min_size=2, max_size=5).map(tuple) | texts.filter(bool).map(lambda t: (t,)),
)


def written(reply: Reply) -> bytes:
    *before, last = reply.lines
    lines = [f"{reply.code}-{line}" for line in before] + [f"{reply.code} {last}"]
    return "".join(f"{line}\r\n" for line in lines).encode()


@given(st.lists(replies, max_size=6), st.lists(st.integers(1, 40), max_size=60))
def test_replies_do_not_depend_on_how_they_arrive(said: list[Reply], cuts: list[int]) -> None:
    """Any cut into pieces gives the replies that were sent, in order."""
    octets = b"".join(map(written, said))
    parser, heard = ReplyParser(), []
    for size in cuts:
        heard += parser.feed(octets[:size])
        octets = octets[size:]
    heard += parser.feed(octets)

    assert heard == said
    assert parser.is_between_replies


@given(st.binary(max_size=300), st.integers(1, 300))
def test_no_octets_break_the_parser(octets: bytes, cut: int) -> None:
    """Whatever comes is a reply, a fault or unfinished; what is shown of it is printable."""
    parser = ReplyParser()
    for reply in parser.feed(octets[:cut]) + parser.feed(octets[cut:]):
        assert 200 <= reply.code < 600
        assert not any(re.search(r"[\x00-\x1f\x7f-\x9f]", line) for line in reply.lines)
    if parser.fault:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", parser.fault.cause)
        assert parser.feed(b"250 ok\r\n") == []


def test_the_limits_are_exact() -> None:
    """One line less is a reply, one line more is a fault; the same for octets."""
    fits, long = ReplyParser(), ReplyParser()
    assert len(fits.feed(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n")) == 1
    assert long.feed(b"250-x\r\n" * MAX_LINES + b"250 x\r\n") == []
    assert long.fault is not None
    assert long.fault.loss is Loss.REPLY_TOO_LONG
    assert ReplyParser().feed(b"250 " + b"x" * (MAX_REPLY - 5) + b"\r\n") != []
    assert ReplyParser().feed(b"250 " + b"x" * (MAX_REPLY + 5) + b"\r\n") == []


content_lines = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x.", b"x" * 998, b"a\xff"]))


@given(content_lines, st.integers(1, 400))
def test_dots_are_doubled_and_come_back(lines: list[bytes], times: int) -> None:
    """What the relay reads until the lone dot, dots halved, is the content (RFC 5321 §4.5.2)."""
    content = b"".join(line + b"\r\n" for line in lines * times) or b"\r\n"
    stuffed = b"".join(transparent(content))

    read = [line.removeprefix(b".") for line in stuffed.split(b"\r\n")[:-1]]
    assert b"".join(line + b"\r\n" for line in read) == content
    assert not re.search(rb"(?:^|\r\n)\.\r\n", stuffed)


def test_big_content_goes_in_bounded_pieces_of_whole_lines() -> None:
    """So that memory holds one piece more than the content, not the content twice."""
    content = (b"x" * 70 + b"\r\n") * 5_000
    cut = list(pieces(content))
    assert b"".join(cut) == content
    assert len(cut) > 4
    assert all(len(piece) <= PIECE and piece.endswith(b"\r\n") for piece in cut)


def test_capabilities_are_read_with_tolerance() -> None:
    """Case, order, repeats, the old AUTH=, unknown keywords and absurd numbers."""
    lines = (
        "relay.test hello",
        "pipelining",
        "Size 35882577",
        "AUTH plain LOGIN",
        "AUTH=LOGIN XOAUTH2",
        "8BITMIME",
        "X-THING a b",
        "SMTPUTF8",
        "ChunkING",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "",
    )
    read = Capabilities.parse(Reply(250, lines))
    assert read == Capabilities(
        name="relay.test",
        pipelining=True,
        eight_bit_mime=True,
        smtputf8=True,
        dsn=True,
        enhanced_status_codes=True,
        chunking=True,
        starttls=True,
        size=35_882_577,
        mechanisms=("PLAIN", "LOGIN", "XOAUTH2"),
        others=("X-THING a b",),
    )
    for absurd in ("SIZE " + "9" * 5_000, "SIZE -1", "SIZE ٣", "SIZE x"):
        assert Capabilities.parse(Reply(250, ("x", absurd))).size is None
    assert Capabilities.parse(Reply(250, ("x", "SIZE 0"))).has_room_for(10**12)
