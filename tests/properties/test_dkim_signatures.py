"""Signatures that we make, verified by dkimpy: a second implementation of RFC 6376 and RFC 8463."""

from __future__ import annotations

from datetime import UTC, datetime

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from pillarbox.mail.dkim import Signer, relaxed_body, signatures
from pillarbox.mail.dkim_record import name_of, read, record_for, strings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RSA = Signer(domain="b.example", selector="r1", key=generate_private_key(65537, 2048))
ED25519 = Signer(domain="b.example", selector="e1", key=Ed25519PrivateKey.generate())
SIGNERS = pytest.mark.parametrize("signer", [RSA, ED25519], ids=["rsa", "ed25519"])
HELLO = (
    b"From: Ann <ann@b.example>\r\nTo: bob@c.example\r\nSubject: Hi  there\r\n"
    b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@b.example>\r\n\r\nHello\r\n"
)

_RECORDS = {
    f"{name_of(signer.selector, signer.domain)}.": record_for(signer.key.public_key())
    for signer in (RSA, ED25519)
}


def is_believed(octets: bytes, number: int = 0) -> bool:
    """What a receiver finds out."""

    def txt(name: bytes, timeout: int = 5) -> bytes:
        return _RECORDS[name.decode()].encode()

    try:
        return bool(dkim.DKIM(octets).verify(idx=number, dnsfunc=txt))
    except dkim.ValidationError:
        return False


def signed(octets: bytes, *signers: Signer) -> bytes:
    return signatures(octets, signers, NOW) + octets


@SIGNERS
def test_a_signature_is_believed(signer: Signer) -> None:
    """By somebody who did not write it."""
    assert is_believed(signed(HELLO, signer))


def test_two_signatures_are_both_believed() -> None:
    """RFC 8463 §5: whoever does not know Ed25519 takes the other one."""
    octets = signed(HELLO, ED25519, RSA)
    assert is_believed(octets, 0)
    assert is_believed(octets, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Hello", b"Hullo"),
        (b"Subject: Hi", b"Subject: Ho"),
        (b"From: Ann", b"From: Eve"),
        (b"\r\n\r\nHello", b"\r\nSubject: Another\r\n\r\nHello"),
        (b"\r\n\r\nHello", b"\r\nFrom: eve@b.example\r\n\r\nHello"),
        (b"\r\n\r\nHello", b"\r\nReply-To: eve@d.example\r\n\r\nHello"),
        (b"\r\n\r\nHello", b"\r\nCc: eve@d.example\r\n\r\nHello"),
    ],
)
@SIGNERS
def test_a_changed_message_is_not_believed(signer: Signer, old: bytes, new: bytes) -> None:
    """Neither a changed word nor a field that somebody adds: those are named once too often."""
    octets = signed(HELLO, signer)
    assert octets.replace(old, new) != octets
    assert not is_believed(octets.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: Hi  there", b"Subject:   Hi\r\n   there  "),
        (b"Subject: Hi  there", b"SUBJECT: Hi there"),
        (b"Hello\r\n", b"Hello  \r\n\r\n\r\n"),
        (b"From: Ann", b"Received: by somebody\r\nFrom: Ann"),
    ],
)
@SIGNERS
def test_what_relays_do_on_the_way_harms_nothing(signer: Signer, old: bytes, new: bytes) -> None:
    """Folding, blanks, empty lines at the end, and fields of the way."""
    octets = signed(HELLO, signer)
    assert old in octets
    assert is_believed(octets.replace(old, new))


BLANKS = st.text(alphabet=" \t", max_size=3)
WORDS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
LINE = st.lists(st.tuples(BLANKS, WORDS), max_size=4).map(
    lambda parts: "".join(blank + word for blank, word in parts)
)
BODY = st.lists(st.tuples(LINE, BLANKS), max_size=6).map(
    lambda lines: "".join(f"{line}{blank}\r\n" for line, blank in lines).encode()
)
FOLDED = st.lists(WORDS.filter(bool), min_size=1, max_size=4).map("\r\n \t".join)


@given(body=BODY, subject=FOLDED, again=FOLDED, references=FOLDED)
@settings(max_examples=150, deadline=None)
def test_whatever_is_signed_is_believed(
    body: bytes, subject: str, again: str, references: str
) -> None:
    """Empty bodies, blanks everywhere, fields that stand twice, any folding."""
    octets = (
        f"From: ann@b.example\r\nSubject: {subject}\r\nReferences:\t{references}\r\n"
        f"X-Other: {again}\r\nSubject: {again}\r\n\r\n"
    ).encode() + body
    for signer in (RSA, ED25519):
        assert is_believed(signed(octets, signer))


@given(BODY)
def test_the_body_is_made_canonical_as_dkimpy_does(body: bytes) -> None:
    """RFC 6376 §3.4.4, octet for octet."""
    assert relaxed_body(body) == dkim.canonicalization.Relaxed.canonicalize_body(body)


@given(BODY)
def test_canonical_is_canonical_already(body: bytes) -> None:
    """A second time changes nothing."""
    assert relaxed_body(relaxed_body(body)) == relaxed_body(body)


def test_the_example_of_the_rfc() -> None:
    """RFC 6376 §3.4.5."""
    assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"


def test_no_line_is_longer_than_a_header_line_may_be() -> None:
    """78 characters, RFC 5322 §2.1.1, whatever the names are."""
    signer = Signer(domain="a" * 20 + ".example", selector="pillarbox2026", key=RSA.key)
    octets = signatures(HELLO.replace(b"To:", b"List-Unsubscribe: <x>\r\nTo:"), [signer], NOW)
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    assert octets.endswith(b"\r\n")
    assert octets.isascii()


def test_a_record_can_be_read_again_and_published_in_pieces() -> None:
    """A TXT takes 255 octets in a string; an RSA key of 2048 bits needs two."""
    for signer in (RSA, ED25519):
        text = record_for(signer.key.public_key())
        assert read(text).bits in (2048, 256)
        assert "".join(strings(text)) == text
        assert max(map(len, strings(text))) <= 255
