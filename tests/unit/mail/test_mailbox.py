"""Names with addresses: what is understood, what is refused, how a header spells them."""

from __future__ import annotations

import pytest

from pillarbox.base.errors import Invalid
from pillarbox.mail.address import Address
from pillarbox.mail.mailbox import Mailbox

ANN = Address.parse("ann@example.org")

ACCEPTED = [
    ("ann@example.org", "", ANN),
    ("<ann@example.org>", "", ANN),
    ("Ann <ann@example.org>", "Ann", ANN),
    ("  Ann   Example <ann@example.org> ", "Ann   Example", ANN),
    ('"Example, Ann" <ann@example.org>', "Example, Ann", ANN),
    ('"Ann \\"A\\" \\\\" <ann@example.org>', 'Ann "A" \\', ANN),
    ('"A <x@example.org>, B" <ann@example.org>', "A <x@example.org>, B", ANN),
    ("Änn Ünal <ann@example.org>", "Änn Ünal", ANN),
    ("John Q. Public <ann@example.org>", "John Q. Public", ANN),
    ("ann@example.org <ann@example.org>", "ann@example.org", ANN),
    ('Odd <"a<b"@example.org>', "Odd", Address.parse('"a<b"@example.org')),
    ('"a, b@"@example.org', "", Address.parse('"a, b@"@example.org')),
]

REFUSED = [
    "Ann",
    "Ann <>",
    "Ann <ann@example.org",
    "Ann ann@example.org>",
    "Ann <ann@example.org> x",
    '"Ann <ann@example.org>',
    "Example, Ann <ann@example.org>",
    "Ann <ann@example.org>\r\nBcc: eve@example.org",
    "A\nnn <ann@example.org>",
    "A\x00nn <ann@example.org>",
    "A\u2028nn <ann@example.org>",
    "A\u0085nn <ann@example.org>",
    f"{'a' * 256} <ann@example.org>",
    "<" * 100_000,
]

SEVERAL = [
    "a@x.example, b@x.example",
    "a@x.example; b@x.example",
    "a@x.example b@x.example",
    "A <a@x.example>, B <b@x.example>",
    "a@x.example, B <b@x.example>",
    "A <a@x.example> <b@x.example>",
]

SPELLED = [
    ("", "ann@example.org"),
    ("Ann Example", "Ann Example <ann@example.org>"),
    ("Example, Ann", '"Example, Ann" <ann@example.org>'),
    ("ann@example.org", '"ann@example.org" <ann@example.org>'),  # else Fastmail sees two authors
    ("John Q. Public", '"John Q. Public" <ann@example.org>'),
    ('A "B" \\', '"A \\"B\\" \\\\" <ann@example.org>'),
    ("Änn", "=?utf-8?q?=C3=84nn?= <ann@example.org>"),
    ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <ann@example.org>"),
]


@pytest.mark.parametrize(("text", "name", "address"), ACCEPTED)
def test_one_mailbox_is_understood(text: str, name: str, address: Address) -> None:
    """With and without a name, with and without quotes."""
    assert Mailbox.parse(text) == Mailbox(name, address)


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused(text: str) -> None:
    """Guessing whom somebody meant sends mail to the wrong person."""
    with pytest.raises(Invalid):
        Mailbox.parse(text)


@pytest.mark.parametrize("text", SEVERAL)
def test_two_addresses_in_one_text_are_refused_with_advice(text: str) -> None:
    """The message says what to do instead."""
    with pytest.raises(Invalid, match="pass a list"):
        Mailbox.parse(text)


@pytest.mark.parametrize("name", ["a\r\nBcc: eve@example.org", "a\x00", "a\u2029", "\t", "\x9b"])
def test_a_name_cannot_begin_another_header(name: str) -> None:
    """Also when the name does not come through `parse`."""
    with pytest.raises(Invalid, match="control characters"):
        Mailbox(name, ANN)


@pytest.mark.parametrize(("name", "spelled"), SPELLED)
def test_how_a_header_spells_it(name: str, spelled: str) -> None:
    """A name is quoted when it could be taken for something else (smtp-replies: Fastmail 551)."""
    assert "".join(Mailbox(name, ANN).pieces()) == spelled


def test_encoded_words_are_short_and_whole() -> None:
    """At most 75 characters each (RFC 2047 §2), never ending inside a character."""
    *words, _address = Mailbox("Zoë 😀" * 40, ANN).pieces()
    assert len(words) > 3
    for word in words:
        assert len(word.strip()) <= 75
